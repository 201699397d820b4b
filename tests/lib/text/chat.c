#include "lib/text/chat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/text/jinja.h"

/* A tokenizer that has three tokens and this template. */
static struct tokenizer *
with_template(const char *template)
{
    static const char *const tokens[] = { "<unk>", "<s>", "</s>" };
    static const int32_t types[] = { 3, 3, 3 };
    struct tokenizer_gguf g = { .path = "x.gguf", .model = "gpt2",
        .pre = "gpt-2", .tokens = tokens, .n = 3, .types = types, .bos = 1,
        .eos = 2, .unk = 0, .pad = 2, .add_bos = -1, .add_eos = -1,
        .add_space_prefix = -1, .chat_template = template };
    struct tokenizer *t;
    struct err e = { 0 };

    if (tokenizer_open_gguf(&t, &g, &e) != 0)
        fail_msg("%s", e.text);
    return t;
}

static void
check_case(struct tokenizer *t, const json_t *one)
{
    const json_t *list = json_object_get(one, "messages");
    const json_t *want = json_object_get(one, "text");
    struct chat_message m[16];
    size_t n = json_array_size(list);
    struct str s = { 0 };
    struct err e = { 0 };

    assert_in_range(n, 1, countof(m));
    for (size_t i = 0; i < n; i++) {
        const json_t *msg = json_array_get(list, i);

        m[i].role = json_string_value(json_object_get(msg, "role"));
        m[i].content = json_string_value(json_object_get(msg, "content"));
    }
    chat_render(t, "x.gguf", m, n, json_is_true(json_object_get(one, "prompt")),
        &s, &e);
    if (json_is_null(want)) {
        assert_int_equal(e.code, ERR_WORK);
        assert_non_null(strstr(e.text, "refuses the conversation"));
        assert_int_equal(s.len, 0);
    } else {
        assert_string_equal(e.text, "");
        assert_string_equal(str_get(&s), json_string_value(want));
    }
    str_release(&s);
}

/*
 * Every family's text is what transformers' apply_chat_template gave. Under
 * sanitizers, which look at paths and not at texts, every eighth.
 */
static void
test_vectors(void **state)
{
    const size_t step = getenv("QUERN_SANITIZED") != NULL ? 8 : 1;
    json_error_t why;
    json_t *all = json_load_file("tests/data/chat/vectors.json", 0, &why);
    json_t *one, *each;
    size_t i, k;

    (void)state;
    assert_true(json_array_size(all) >= 10);
    json_array_foreach(all, i, one) {
        const char *text =
            json_string_value(json_object_get(one, "template"));
        const char *name = json_string_value(json_object_get(one, "family"));
        const char *found = chat_name(chat_recognise(text));
        struct tokenizer *t = with_template(text);

        assert_memory_equal(name, found, strlen(found));
        json_array_foreach(json_object_get(one, "cases"), k, each)
            if (k % step == 0)
                check_case(t, each);
        tokenizer_free(t);
    }
    json_decref(all);
}

/* Templates of no known family, and none at all, are refused by name. */
static void
test_refused(void **state)
{
    const struct chat_message m[] = { { "user", "x" } };
    const struct chat_message bad[] = { { "user", "\xff" } };
    struct tokenizer *t = with_template(NULL);
    struct str s = { 0 };
    struct err e = { 0 };

    (void)state;
    assert_int_equal(chat_render(t, "m.gguf", m, 1, true, &s, &e), ERR_WORK);
    assert_string_equal(e.text,
        "m.gguf: the tokenizer has no chat_template; give prompts as plain "
        "text");
    tokenizer_free(t);

    err_clear(&e);
    t = with_template("{% for m in messages %}USER: {{ m.content }}"
                      "{% endfor %}");
    assert_int_equal(chat_render(t, "m.gguf", m, 1, true, &s, &e), ERR_WORK);
    assert_string_equal(e.text,
        "m.gguf: chat template '{% for m in messages %}USER: {{ m.content }}"
        "{% endfor %}...' is of no family that quern knows (ChatML, Llama-2, "
        "Llama-3, Phi-3, Gemma, Mistral); give prompts as plain text");
    tokenizer_free(t);

    err_clear(&e);
    t = with_template("<|im_start|><|im_end|>");
    assert_int_equal(chat_render(t, "m.gguf", bad, 1, true, &s, &e), ERR_WORK);
    assert_string_equal(e.text,
        "m.gguf: message 1 is not valid UTF-8; convert it to UTF-8");
    tokenizer_free(t);
    str_release(&s);
}

/* The text and error of a template run with a few variables. */
static void
run(const char *template, struct str *s, struct err *e)
{
    json_t *globals = json_pack("{s[{ssss}{ssss}]sissso}", "messages", "role",
        "user", "content", " hi ", "role", "assistant", "content", "yo", "n", 7,
        "s", "a,b,,c", "d", json_pack("{sisi}", "k", 1, "l", 2));

    str_clear(s);
    err_clear(e);
    assert_non_null(globals);
    jinja_run("t", template, globals, s, e);
    json_decref(globals);
}

/* Operators, white space control and scopes are Jinja's. */
static void
test_language(void **state)
{
    static const struct {
        const char *template, *want;
    } cases[] = {
        { "a {{ 1 + 2 * 3 }} b", "a 7 b" },
        { "{{ 7 // 2 }} {{ 7 % 4 }} {{ -n + 8 }} {{ 2 ~ 'x' ~ 3 }}",
            "3 3 1 2x3" },
        { "{{ 'a' if n > 3 else 'b' }}{{ 'c' if n < 3 }}", "a" },
        { "{{ not n == 7 or 1 < 2 and 'x' in s }}", "False" },
        { "{{ 'b' in s }} {{ 'q' not in s }} {{ 'k' in d }}",
            "True True True" },
        { "{{ nothing }}|{{ nothing is defined }}|{{ n is defined }}",
            "|False|True" },
        { "{{ nothing is not defined and s is string and d is mapping }}",
            "True" },
        { "{{ s.split(',')[-1] ~ s.split(',')[0] }}", "ca" },
        { "{{ s | replace(',', ';') | upper }}", "A;B;;C" },
        { "{{ 'they are'.title() }} {{ 'ab cd' | capitalize }}",
            "They Are Ab cd" },
        { "{{ messages[0].content | trim }}{{ messages|length }}", "hi2" },
        { "{{ (messages[1:] | first)['role'] }}", "assistant" },
        { "{% for m in messages[::-1] %}{{ loop.index }}{{ m.role[0:0] if "
          "false else '' }}{{ loop.last }}{% endfor %}",
            "1False2True" },
        { "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
            "k=1;l=2;" },
        { "{% for x in [1, 2, 3, 4] if x % 2 == 0 %}{{ x }}"
          "{{ ',' if not loop.last }}{% endfor %}",
            "2,4" },
        { "{% for x in [] %}x{% else %}none{% endfor %}", "none" },
        { "{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}"
          "{{ x }}",
            "1" },
        { "{% set ns = namespace(x=1) %}{% for i in [1] %}{% set ns.x = 2 %}"
          "{% endfor %}{{ ns.x }}",
            "2" },
        { "{% if n == 7 %}{% set y = 'in' %}{% endif %}{{ y }}", "in" },
        { "{% set y %}a{{ n }}{% endset %}{{ y }}{{ y | length }}", "a72" },
        { "a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "a\n  b\nc" },
        { "a \n {%- if true -%} \n b \n {%- endif %}\nc", "abc" },
        { "a {{- ' b ' -}} c", "a b c" },
        { "x  {#- note -#}  y {# z #}\nw", "xy w" },
        { "{%+ if true %}  a{% endif %}", "  a" },
        { "  {% if true %}a{% endif %}  {% if true %}b{% endif %}",
            "a  b" },
        { "{{ 'a\\n\\'\\x41\\u00e9' }}", "a\n'A\xc3\xa9" },
        { "{{ {'a': [1, {'b': 'c'}]}['a'][1].b }}", "c" },
        { "{{ x | default('d') }}{{ '' | default('e', true) }}", "de" },
        { "{{ messages | selectattr('role', 'equalto', 'user') | list | "
          "length }}",
            "1" },
        { "{{ [1, 2] | join('-') }}{{ ('a', 'b') | last }}", "1-2b" },
        { "{% macro f(x) %}{{ x }}{% endmacro %}ok", "ok" },
        { "{% generation %}g{% endgeneration %}", "g" },
        { "{{ none }}{{ true }}{{ false and nothing.x.y }}",
            "NoneTrueFalse" },
        { "{% for i in range(3) %}{{ i }}{% endfor %}{% for i in range(1, 3) "
          "%}{{ i }}{% endfor %}",
            "01212" },
    };
    struct str s = { 0 };
    struct err e = { 0 };

    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        run(cases[i].template, &s, &e);
        if (strcmp(e.text, "") != 0 ||
            strcmp(str_get(&s), cases[i].want) != 0)
            fail_msg("%s: \"%s\" %s", cases[i].template, str_get(&s), e.text);
    }
    str_release(&s);
}

/* What is not Jinja, or not known here, is refused with its line. */
static void
test_errors(void **state)
{
    static const struct {
        const char *template, *want;
    } cases[] = {
        { "a\n{{ b", "t:2: a tag has no end" },
        { "{{ 'b }}", "t:1: a string has no end" },
        { "{# b", "t:1: a comment has no end" },
        { "{{ a ? b }}", "t:1: a tag holds a character that is not Jinja" },
        { "{% if n %}x", "t:1: {% endif %} was expected" },
        { "{% endif %}", "t:1: a tag that ends a block begins none" },
        { "\n\n{% include 'x' %}",
            "t:3: the tag 'include' is not implemented" },
        { "{{ s | wordwrap }}",
            "t:1: the filter 'wordwrap' is not implemented for this value" },
        { "{{ s.zfill(3) }}", "t:1: the method 'zfill' is not implemented" },
        { "{{ s is odd }}", "t:1: the test 'odd' is not implemented" },
        { "{{ f(3) }}", "t:1: the function 'f' is not implemented" },
        { "{{ nothing.x }}", "t:1: 'x' of something undefined" },
        { "{{ s + 1 }}",
            "t:1: '+' of values that are not both numbers or strings" },
        { "{{ 1 % 0 }}", "t:1: division by 0" },
        { "{{ '\xc3\xa9'.upper() }}",
            "t:1: the case of letters beyond ASCII is not implemented" },
        { "{{ d }}",
            "t:1: printing a list or a dictionary is not implemented" },
        { "{{ 1 2 }}", "t:1: '2' where the end of the tag was expected" },
        { "{{ ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((("
          "((((((((((1 }}",
            "t:1: nested too deep or too long" },
    };
    struct str s = { 0 };
    struct err e = { 0 };

    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        char *want = mem_printf("%s; quern cannot use this chat template",
            cases[i].want);

        run(cases[i].template, &s, &e);
        assert_string_equal(e.text, want);
        assert_int_equal(s.len, 0);
        free(want);
    }
    str_release(&s);
}

/* A template that never ends, or grows without end, is stopped. */
static void
test_bounded(void **state)
{
    static const char *const cases[] = {
        "{% for a in range(9000) %}{% for b in range(9000) %}"
        "{% endfor %}{% endfor %}",
        "{% set ns = namespace(x='xxxxxxxx') %}{% for a in range(99) %}"
        "{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for a in range(99) %}"
        "{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x='x') %}{% for a in range(99) %}"
        "{% set ns.x = ns.x | replace('x', 'xxxxxxxxxxxxxxxxxxxxxxxx') %}"
        "{% endfor %}",
        "{% for a in range(99999) %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for a in range(9999) %}"
        "{% set ns.x = [ns.x] %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for a in range(60) %}"
        "{% set ns.x = [ns.x, ns.x] %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% set ns.x = [ns] %}",
        "{% set a = namespace() %}{% set b = namespace(a=a) %}"
        "{% set a.b = [b] %}",
    };
    struct str s = { 0 };
    struct err e = { 0 };

    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        run(cases[i], &s, &e);
        assert_int_equal(e.code, ERR_WORK);
        assert_int_equal(s.len, 0);
    }
    str_release(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_language),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_bounded),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/text/chat", tests, NULL, NULL);
}
