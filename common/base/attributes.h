/* attributes - the compiler attributes Matador uses, under readable names */
#ifndef COMMON_BASE_ATTRIBUTES_H
#define COMMON_BASE_ATTRIBUTES_H

#define UNUSED __attribute__((unused))
#define PRINTF_LIKE(string_index, first) __attribute__((format(printf, string_index, first)))
#define NO_RETURN __attribute__((noreturn))
#define MUST_CHECK __attribute__((warn_unused_result))

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
