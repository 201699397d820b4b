#!/usr/bin/env python3
"""chat.py - quern's chat texts against transformers' apply_chat_template

  chat.py [--count N] [--seed N] [FILE.jinja ...]
  chat.py --vectors tests/data/chat/vectors.json

For each of the six families, and for every template file named, generated
conversations are rendered by both, with and without the beginning of an answer,
until N (200 unless told) had a text. Where transformers refuses a conversation,
so must quern. --vectors writes some conversations with transformers' texts,
which tests/lib/text/chat.c replays.

Run from the top of the tree with a Python that has the package `transformers`,
or at least `jinja2` (then a copy of transformers' environment is used), after
out/tests/tools/chat_lines was built (QUERN_CHAT_LINES names another).
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

TOOL = os.environ.get("QUERN_CHAT_LINES", os.path.join(
    os.environ.get("QUERN_TESTS", "out/tests"), "tools", "chat_lines"))
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

ALTERNATE = ("{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
             "{{ raise_exception('Conversation roles must alternate "
             "user/assistant/user/assistant/...') }}{% endif %}")
TEMPLATES = {
    "ChatML": "{% for message in messages %}{{'<|im_start|>' + "
              "message['role'] + '\\n' + message['content'] + '<|im_end|>' + "
              "'\\n'}}{% endfor %}{% if add_generation_prompt %}"
              "{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "ChatML, default system":
        "{% for message in messages %}{% if loop.first and "
        "messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a "
        "helpful assistant.<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + "
        "message['role'] + '\\n' + message['content'] + '<|im_end|>' + "
        "'\\n'}}{% endfor %}{% if add_generation_prompt %}"
        "{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "ChatML, on lines":
        "{%- if messages[0].role == 'system' %}\n"
        "    {{- '<|im_start|>system\\n' + messages[0].content + "
        "'<|im_end|>\\n' }}\n"
        "{%- endif %}\n"
        "{%- set ns = namespace(last=messages|length - 1, found=false) %}\n"
        "{%- for message in messages[::-1] %}\n"
        "    {%- set index = (messages|length - 1) - loop.index0 %}\n"
        "    {%- if not ns.found and message.role == \"user\" and not "
        "(message.content.startswith('<t>') and "
        "message.content.endswith('</t>')) %}\n"
        "        {%- set ns.found = true %}\n"
        "        {%- set ns.last = index %}\n"
        "    {%- endif %}\n"
        "{%- endfor %}\n"
        "{%- for message in messages %}\n"
        "    {%- if (message.role == \"user\") or (message.role == \"system\" "
        "and not loop.first) %}\n"
        "        {{- '<|im_start|>' + message.role + '\\n' + message.content "
        "+ '<|im_end|>' + '\\n' }}\n"
        "    {%- elif message.role == \"assistant\" %}\n"
        "        {%- set content = message.content %}\n"
        "        {%- if '</think>' in content %}\n"
        "            {%- set content = content.split('</think>')[-1]"
        ".lstrip('\\n') %}\n"
        "        {%- endif %}\n"
        "        {%- if loop.index0 > ns.last %}\n"
        "            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + "
        "content.strip('\\n') }}\n"
        "        {%- else %}\n"
        "            {{- '<|im_start|>' + message.role + '\\n' + content }}\n"
        "        {%- endif %}\n"
        "        {{- '<|im_end|>\\n' }}\n"
        "    {%- endif %}\n"
        "{%- endfor %}\n"
        "{%- if add_generation_prompt %}\n"
        "    {{- '<|im_start|>assistant\\n' }}\n"
        "    {%- if enable_thinking is defined and enable_thinking is false "
        "%}\n"
        "        {{- '<think>\\n\\n</think>\\n\\n' }}\n"
        "    {%- endif %}\n"
        "{%- endif %}\n",
    "Llama-2": "{% if messages[0]['role'] == 'system' %}{% set loop_messages "
               "= messages[1:] %}{% set system_message = "
               "messages[0]['content'] %}{% else %}{% set loop_messages = "
               "messages %}{% set system_message = false %}{% endif %}"
               "{% for message in loop_messages %}" + ALTERNATE +
               "{% if loop.index0 == 0 and system_message != false %}"
               "{% set content = '<<SYS>>\\n' + system_message + "
               "'\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}"
               "{% set content = message['content'] %}{% endif %}"
               "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + "
               "content.strip() + ' [/INST]' }}{% elif message['role'] == "
               "'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}"
               "{% endif %}{% endfor %}",
    "Llama-3": "{% set loop_messages = messages %}{% for message in "
               "loop_messages %}{% set content = '<|start_header_id|>' + "
               "message['role'] + '<|end_header_id|>\\n\\n'+ "
               "message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 "
               "== 0 %}{% set content = bos_token + content %}{% endif %}"
               "{{ content }}{% endfor %}{% if add_generation_prompt %}"
               "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"
               "{% endif %}",
    "Phi-3": "{% for message in messages %}{% if message['role'] == 'system' "
             "and message['content'] %}{{'<|system|>\\n' + message['content'] "
             "+ '<|end|>\\n'}}{% elif message['role'] == 'user' %}"
             "{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}"
             "{% elif message['role'] == 'assistant' %}{{'<|assistant|>\\n' + "
             "message['content'] + '<|end|>\\n'}}{% endif %}{% endfor %}"
             "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}"
             "{% else %}{{ eos_token }}{% endif %}",
    "Gemma": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
             "{{ raise_exception('System role not supported') }}{% endif %}"
             "{% for message in messages %}" + ALTERNATE +
             "{% if (message['role'] == 'assistant') %}{% set role = 'model' "
             "%}{% else %}{% set role = message['role'] %}{% endif %}"
             "{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim "
             "+ '<end_of_turn>\\n' }}{% endfor %}{% if "
             "add_generation_prompt %}{{'<start_of_turn>model\\n'}}"
             "{% endif %}",
    "Gemma, first system":
        "{{ bos_token }}\n"
        "{%- if messages[0]['role'] == 'system' -%}\n"
        "    {%- set prefix = messages[0]['content'] + '\n\n' -%}\n"
        "    {%- set loop_messages = messages[1:] -%}\n"
        "{%- else -%}\n"
        "    {%- set prefix = \"\" -%}\n"
        "    {%- set loop_messages = messages -%}\n"
        "{%- endif -%}\n"
        "{%- for message in loop_messages -%}\n    " + ALTERNATE + "\n"
        "    {{ '<start_of_turn>' + ('model' if message['role'] == "
        "'assistant' else message['role']) + '\n' + (prefix if loop.first "
        "else \"\") }}\n"
        "    {%- if message['content'] is string -%}\n"
        "        {{ message['content'] | trim }}\n"
        "    {%- endif -%}\n"
        "    {{ '<end_of_turn>\n' }}\n"
        "{%- endfor -%}\n"
        "{%- if add_generation_prompt -%}\n"
        "    {{'<start_of_turn>model\n'}}\n"
        "{%- endif -%}\n",
    "Mistral": "{{ bos_token }}{% for message in messages %}" + ALTERNATE +
               "{% if message['role'] == 'user' %}{{ '[INST] ' + "
               "message['content'] + ' [/INST]' }}{% elif message['role'] == "
               "'assistant' %}{{ message['content'] + eos_token}}{% else %}"
               "{{ raise_exception('Only user and assistant roles are "
               "supported!') }}{% endif %}{% endfor %}",
    "Mistral, on lines":
        "{%- if messages[0][\"role\"] == \"system\" %}\n"
        "    {%- set system_message = messages[0][\"content\"] %}\n"
        "    {%- set loop_messages = messages[1:] %}\n"
        "{%- else %}\n"
        "    {%- set loop_messages = messages %}\n"
        "{%- endif %}\n"
        "{#- only whose turn it is #}\n"
        "{%- set users = loop_messages | selectattr(\"role\", \"equalto\", "
        "\"user\") | list %}\n"
        "{{- bos_token }}\n"
        "{% for message in loop_messages %}\n"
        "  {% if message['role'] == 'user' %}\n"
        "    {%- if message == users[-1] and system_message is defined %}\n"
        "[INST]{{ system_message ~ \"\\n\\n\" ~ message[\"content\"] }}"
        "[/INST]\n"
        "    {% else %}\n"
        "[INST]{{ message[\"content\"] }}[/INST]\n"
        "    {%- endif %}\n"
        "  {% elif message['role'] == 'assistant' %}\n"
        " {{ message['content'] + eos_token }}\n"
        "  {% else %}\n"
        "{{ raise_exception('Only ' ~ users|length ~ ' users') }}\n"
        "  {% endif %}\n"
        "{% endfor %}\n",
}
# none of the six: refused by name, whatever the conversation
OTHERS = {
    "Vicuna": "{% for m in messages %}{{ m['role'] | upper + ': ' + "
              "m['content'] }}{% endfor %}",
    "an unknown filter": "{% for m in messages %}{{ '<|im_start|>' + "
                         "m['content'] | wordwrap(3) + '<|im_end|>' }}"
                         "{% endfor %}",
    "an unknown tag": "{% include 'x' %}{{ '<|im_start|><|im_end|>' }}",
    "today's date": "{{ strftime_now('%d %b %Y') }}<|im_start|><|im_end|>",
}
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
          "pad_token": "</s>"}


def reference():
    """apply_chat_template(template, messages, prompt) -> text, or raises."""
    try:
        import tokenizers
        import transformers
        fast = tokenizers.Tokenizer(tokenizers.models.BPE(
            vocab={"<unk>": 0, "<s>": 1, "</s>": 2}, merges=[]))
        tok = transformers.PreTrainedTokenizerFast(tokenizer_object=fast,
                                                   **TOKENS)
        print("# transformers %s" % transformers.__version__)
        return lambda template, messages, prompt: tok.apply_chat_template(
            messages, chat_template=template, tokenize=False,
            add_generation_prompt=prompt)
    except ImportError:
        pass
    import jinja2
    import jinja2.sandbox

    def refuse(message):
        raise jinja2.exceptions.TemplateError(message)

    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True)
    env.globals["raise_exception"] = refuse
    print("# jinja2 %s, without transformers" % jinja2.__version__)
    return lambda template, messages, prompt: env.from_string(
        template).render(messages=messages, tools=None, documents=None,
                         add_generation_prompt=prompt, **TOKENS)


WORDS = ["Hello", "what", "is", "2+2?", "  ", "\n", "\n\n", "\t", "caf\u00e9",
         "\u6c34", "<|im_end|>", "[INST]", "{{ x }}", "{% if %}", "'", '"',
         "\\n", "</think>", "<t>", "</t>", "\u00a0", "\u2003", "answer:", "42",
         "\U0001f34e", "-", "</s>", "a\r\nb", "\x1f"]


def content(r):
    glue = r.choice(["", " ", "\n"])
    return glue.join(r.choice(WORDS) for _ in range(r.randint(0, 8)))


def conversation(r):
    """Mostly well-formed; at times a system message or roles out of turn."""
    out = []
    if r.random() < 0.4:
        out.append({"role": "system", "content": content(r)})
    turns = r.randint(1, 6)
    role = "user"
    for _ in range(turns):
        out.append({"role": role, "content": content(r)})
        if r.random() < 0.95:
            role = "assistant" if role == "user" else "user"
        if r.random() < 0.02:
            role = r.choice(["tool", "system"])
    return out


def quern(template, cases):
    with tempfile.TemporaryDirectory() as folder:
        tok = {"added_tokens": [], "model": {
            "type": "BPE", "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2},
            "merges": []}}
        config = dict(TOKENS, chat_template=template)
        for name, value in (("tokenizer.json", tok),
                            ("tokenizer_config.json", config)):
            with open(os.path.join(folder, name), "w",
                      encoding="utf-8") as f:
                json.dump(value, f)
        run = subprocess.run(
            [TOOL, folder], capture_output=True, check=True,
            encoding="utf-8", input="".join(
                json.dumps({"messages": m, "prompt": p}) + "\n"
                for m, p in cases))
    return [json.loads(line) for line in run.stdout.split("\n")[:-1]]


def compare(template, render, cases):
    """None, or what differs first; and how many were refused by both."""
    refused = 0
    got = quern(template, cases)
    if len(got) != len(cases):
        return "%d answers to %d conversations" % (len(got), len(cases)), 0
    for (messages, prompt), ours in zip(cases, got):
        try:
            want = render(template, messages, prompt)
        except Exception as why:  # whatever the template raises
            if "text" in ours:
                return "%s: quern renders what transformers refuses: %s" % (
                    ascii(messages), why), refused
            refused += 1
            continue
        if ours.get("text") != want:
            return "%s: quern %s, transformers %s" % (
                ascii(messages), ascii(ours), ascii(want)), refused
    return None, refused


def write_vectors(name, render):
    r = random.Random(3)
    out = []
    for family, template in TEMPLATES.items():
        cases = []
        for _ in range(16):
            messages, prompt = conversation(r), r.random() < 0.5
            try:
                text = render(template, messages, prompt)
            except Exception:
                text = None
            cases.append({"messages": messages, "prompt": prompt,
                          "text": text})
        out.append({"family": family, "template": template, "cases": cases})
    os.makedirs(os.path.dirname(name), exist_ok=True)
    with open(name, "w", encoding="utf-8") as f:
        json.dump(out, f, indent=1)
        f.write("\n")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--count", type=int, default=200)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--vectors", help="file to write vectors to")
    ap.add_argument("files", nargs="*")
    args = ap.parse_args()
    try:
        render = reference()
    except ImportError:
        print("ok 1 - templates # SKIP neither transformers nor jinja2 is here")
        print("1..1")
        return 0
    if args.vectors:
        write_vectors(args.vectors, render)
        return 0
    templates = dict(TEMPLATES)
    for name in args.files:
        with open(name, encoding="utf-8") as f:
            templates[os.path.basename(name)] = f.read()
    r = random.Random(args.seed)
    number = failed = 0
    for name, template in templates.items():
        done = refused = 0
        why = None
        while why is None and done < args.count and refused < 50 * args.count:
            cases = [(conversation(r), r.random() < 0.5) for _ in range(100)]
            why, more = compare(template, render, cases)
            refused += more
            done += len(cases) - more
        if why is None and done < args.count:
            why = "transformers refuses all of them"
        number += 1
        print("%s %d - %s: %d conversations, %d more refused by both" % (
            "not ok" if why else "ok", number, name, done, refused))
        if why:
            failed += 1
            print("# " + why[:2000])
    for name, template in OTHERS.items():
        number += 1
        got = quern(template, [([{"role": "user", "content": "x"}], True)])
        good = "error" in got[0]
        failed += not good
        print("%s %d - %s is refused" % ("ok" if good else "not ok", number,
                                         name))
        print("# " + got[0].get("error", "rendered"))
    print("1..%d" % number)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
