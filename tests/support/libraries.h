/* Libraries as code under test finds them when it opens them: absent, or with functions of the test's own.
 *
 * Tests are linked so that dlopen() and dlsym() of the library and of the test pass through here. Those
 * within shared libraries do not.
 */
#ifndef TESS_TESTS_LIBRARIES_H
#define TESS_TESTS_LIBRARIES_H

/* What is found under a name; `real` is what the library has there, NULL if nothing. */
typedef void *libraries_lookup(const char *name, void *real);

/* From now on libraries whose names begin so are absent; "": none. */
void libraries_hide(const char *beginning);
/* From now on functions of that library, installed or not, are what `lookup` says; NULL: as they are. */
void libraries_stand_in(const char *soname, libraries_lookup *lookup);

#endif
