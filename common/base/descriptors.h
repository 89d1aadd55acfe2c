/* descriptors - standard input, output and error of a program that may have been started without them */
#ifndef COMMON_BASE_DESCRIPTORS_H
#define COMMON_BASE_DESCRIPTORS_H

/*
 * Fills those of the descriptors 0 to 2 that are closed, so that nothing opened later takes their place. What is written
 * there is lost; reading from such a standard input fails, so that it is not taken for an empty one.
 */
void descriptors_fill_standard(void);

#endif
