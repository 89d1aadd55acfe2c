/* nearest - see nearest.h */
#include "common/conf/nearest.h"

#include <stdint.h>
#include <string.h>

#define LONGEST_WORD 64

static size_t
smallest(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Levenshtein's distance, one row at a time. */
size_t
nearest_distance(const char *a, const char *b)
{
	size_t row[LONGEST_WORD + 1], a_length = strlen(a), b_length = strlen(b);

	if (a_length > LONGEST_WORD || b_length > LONGEST_WORD)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_length; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			size_t above = row[j];

			row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[b_length];
}

int
nearest_is_near(const char *word, size_t distance)
{
	return distance <= 1 + strlen(word) / 4;
}
