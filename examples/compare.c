/* Compares a trace with a reference and names the first module that differs.
 *
 *   cc compare.c $(pkg-config --cflags --libs tessera) -o compare
 *   ./compare REFERENCE.safetensors TRACE.safetensors
 */
#include <stdio.h>
#include <tessera.h>

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "Usage: %s REFERENCE TRACE\n", argv[0]);
        return 2;
    }
    tess_error err;
    tess_compare_result *result;
    const tess_compare_options options = {0};
    if (tess_compare_files(argv[1], argv[2], &options, &result, &err) != TESS_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 2;
    }
    bool is_different = result->verdict == TESS_VERDICT_DIFFERENT;
    printf("%s\n", tess_verdict_name(result->verdict));
    if (is_different) printf("first: %s\n", result->tap[result->first].name);
    tess_compare_result_free(result);
    return is_different;
}
