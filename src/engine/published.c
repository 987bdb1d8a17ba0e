/* SHA-256 of files of Qwen3-Omni-30B-A3B-Instruct at revision 26291f79, as others who have them stated: in
 * the artifact hashes of dishierweidu/qwen3-test, a public oracle of that revision's processor; those of the
 * generation's and the preprocessor's configuration are besides what files rebuilt byte by byte have. The
 * shards' are not known publicly. */
#include <string.h>

#include "tessera/checkpoint.h"

static const struct {
    const char *name, *sha256;
} published[] = {
    {"config.json", "eab5093d47807aaf894119506b238b2b1cee70d08456e894fee9a012d88f2e0d"},
    {"vocab.json", "ca10d7e9fb3ed18575dd1e277a2579c16d108e32f27439684afa0e10b1440910"},
    {"merges.txt", "599bab54075088774b1733fde865d5bd747cbcc7a547c5bc12610e874e26f5e3"},
    {"preprocessor_config.json", "b10e27fd4542cf89ec7145942b87f3e65408d4e9f9d031a29acdd293c15fb3fc"},
    {"generation_config.json", "7fa40989be8e43c078907810c41c25d33747523afce3d5a34d5850f930c886cb"},
    {"tokenizer_config.json", "dc3c31c3bdaedd5016382bb3cbe07323026775ad51f5a4fb564505992ae4a670"},
    {"chat_template.json", "90c1b81f29e41b7642b0cc02c877a10c8bf6751a8d8fa1d16ac9a718cf1c3d86"},
};

tess_published tess_published_find(const char *name, const char *sha256)
{
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++)
        if (!strcmp(name, published[i].name))
            return strcmp(sha256, published[i].sha256) ? TESS_PUBLISHED_OTHER : TESS_PUBLISHED_YES;
    return TESS_PUBLISHED_UNKNOWN;
}
