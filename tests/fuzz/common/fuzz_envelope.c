/* fuzz_envelope - any octets as an envelope and as results: what is taken encodes to the same octets again */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/mail/delivery_result.h"
#include "common/mail/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct envelope envelope;
	struct buffer again = BUFFER_INITIALIZER(0);
	struct wire_reader reader;
	struct delivery_result result;

	if (envelope_decode(data, size, &envelope, NULL) == 0) {
		if (!envelope_encode(&envelope, NULL, &again) || again.length != size ||
		    memcmp(again.data, data, size) != 0)
			abort();
		envelope_free(&envelope);
	}
	buffer_clear(&again);
	wire_reader_init(&reader, data, size);
	while (delivery_result_decode(&reader, &result))
		if (!delivery_result_encode(&result, &again))
			abort();
	if (again.length > 0 && memcmp(again.data, data, again.length) != 0)
		abort();
	buffer_free(&again);
	return 0;
}
