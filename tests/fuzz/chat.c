/* Any bytes as a chat template, run on one conversation. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/text/chat.h"
#include "lib/text/jinja.h"
#include "lib/text/utf8.h"
#include "tests/fuzz/fuzz.h"

int
fuzz_one(const uint8_t *data, size_t size)
{
    json_t *globals = json_pack("{s[{ssss}{ssss}{ssss}]sbsssssn}", "messages",
        "role", "system", "content", "be \xc3\xa9", "role", "user", "content",
        " hi\n", "role", "assistant", "content", "", "add_generation_prompt",
        1, "bos_token", "<s>", "eos_token", "</s>", "tools");
    char *template = mem_strndup((const char *)data, size);
    struct str out = { 0 };
    struct err e = { 0 };

    (void)chat_recognise(template);
    if (jinja_run("t", template, globals, &out, &e) != 0) {
        fuzz_require(e.text[0] != 0, "an error says something");
        fuzz_require(out.len == 0, "an error leaves no text");
    }
    str_release(&out);
    json_decref(globals);
    free(template);
    return 0;
}
