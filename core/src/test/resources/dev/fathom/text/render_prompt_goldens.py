#!/usr/bin/env python3
"""Renders chat templates with Jinja2 into prompt-goldens.json, next to this script.

    python3 render_prompt_goldens.py NAME=TEMPLATE [NAME=TEMPLATE ...]

NAME is the prompt family; TEMPLATE is a tokenizer_config.json (its chat_template is used) or a
.jinja file. Jinja2 is configured as transformers does it: trim_blocks, lstrip_blocks, tojson without
HTML escapes. The committed file was made with Jinja2 3.1.6 from
  sample=sample.tokenizer_config.json                 the sample model
  deepseek-v3-original=deepseek-v3.tokenizer_config.json   as published with DeepSeek-V3
  deepseek-v3.1=deepseek-ai-DeepSeek-V3.1.jinja       as collected by llama.cpp (models/templates)
  deepseek-r1=deepseek-ai-DeepSeek-R1-Distill-Qwen-32B.jinja   the same
"""

import json
import pathlib
import random
import sys

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = pathlib.Path(__file__).parent
NAMES = {
    "bos_token": "<｜begin▁of▁sentence｜>",
    "eos_token": "<｜end▁of▁sentence｜>",
}
TEXTS = [
    "Hello!",
    "What is 27 + 48?",
    "  leading and trailing  ",
    "line one\nline two\n\n",
    "深度求索，你好。",
    "naïve café — “quotes” 🚀👩‍👩‍👧‍👦",
    "{\"a\": [1, 2.50, null, true]}",
    "<b>&amp; 'quoted' \"double\"</b>",
    "```json\n{}\n```",
    "",
    "{{ not_a_template }} {% endif %}",
    "tab\tand\u00a0nbsp\u3000wide",
]
TOOLS = [
    {"name": "get_weather", "description": "Current weather of a city", "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "Name, e.g. Zürich"}}, "required": ["city"]}},
    {"name": "get_time", "description": "Current time <in> a city & more", "parameters": {"type": "object", "properties": {}}},
    {"name": "计算", "description": "", "parameters": {"type": "object", "properties": {"x": {"type": "number", "minimum": 0.5}}}},
]
ARGUMENTS = ["{}", "{\"city\": \"Paris\"}", "{\"x\": 1.5, \"y\": [1, 2]}", "{\"text\": \"中文 <b> \\\"q\\\"\"}"]


def system(text):
    return {"role": "system", "content": text}


def user(text):
    return {"role": "user", "content": text}


def tool(text):
    return {"role": "tool", "content": text}


def answer(text):
    return {"role": "assistant", "content": text}


def calls(content, *pairs):
    return {
        "role": "assistant",
        "content": content,
        "tool_calls": [{"id": "call_%d" % i, "type": "function", "function": {"name": n, "arguments": a}} for i, (n, a) in enumerate(pairs)],
    }


def fixed():
    f, g = ("f", "{\"a\": 1}"), ("g", "{}")
    yield [user("U1")], []
    yield [system("S"), user("U1"), answer("A1"), user("U2")], []
    yield [system("S"), system("T"), user("U1")], []
    yield [user("U1"), system("late"), answer("A1"), user("U2")], []
    yield [user("U1"), user("U2")], []
    yield [user("U1"), answer("A1")], []
    yield [user("U1"), answer("r</think>A1"), user("U2")], []
    yield [user("U1"), answer("r</think>A</think>B"), user("U2")], []
    yield [system("S"), user("U1")], TOOLS[:1]
    yield [user("U1")], TOOLS
    yield [user("U1"), calls(None, f), tool("T1")], []
    yield [user("U1"), calls(None, f, g), tool("T1"), tool("T2"), answer("A2"), user("U2")], []
    yield [user("U1"), calls(None, f, g, f), tool("T1"), tool("T2"), tool("T3")], []
    yield [user("U1"), calls(None, f), tool("T1"), answer("A1"), user("U2"), calls(None, g), tool("T2"), answer("A2")], []
    yield [user("U1"), calls(None, f), tool("T1"), calls(None, g), tool("T2"), answer("A2"), user("U2")], []
    yield [user("U1"), calls(None, f), tool("T1"), user("U2")], []


def with_text_beside_calls():
    f, g = ("f", "{\"a\": 1}"), ("g", "{}")
    yield [user("U1"), calls("Let me see.", f, g), tool("T1"), tool("T2"), answer("A2"), user("U2")], []
    yield [user("U1"), calls("", f), tool("T1"), answer("A</think>2")], TOOLS[:2]


def drawn(rng):
    text = lambda: rng.choice(TEXTS)
    messages = [system(text()) for _ in range(rng.choice([0, 0, 1, 1, 2]))]
    for _ in range(rng.randrange(1, 4)):
        messages.append(user(text()))
        if rng.random() < 0.4:
            count = rng.randrange(1, 4)
            messages.append(calls(rng.choice([None, None, text()]), *[(rng.choice(TOOLS)["name"], rng.choice(ARGUMENTS)) for _ in range(count)]))
            messages.extend(tool(text()) for _ in range(count))
        if rng.random() < 0.8:
            messages.append(answer(text()))
    if rng.random() < 0.5:
        messages.append(user(text()))
    return messages, rng.choice([[], [], TOOLS[:1], TOOLS])


def closed_and_single(messages):
    """Whether a conversation avoids what the R1 template renders wrongly: a second round of calls,
    text beside calls, results without an answer to them."""
    rounds = sum("tool_calls" in m for m in messages)
    beside = any("tool_calls" in m and m["content"] is not None for m in messages)
    open_results = any(m["role"] == "tool" and n["role"] not in ("tool", "assistant") for m, n in zip(messages, messages[1:]))
    joined = sum(m["role"] == "system" for m in messages) > 1
    return rounds <= 1 and not beside and not open_results and not joined


def conversations(family):
    cases = list(fixed())
    rng = random.Random(20261122)
    if family != "deepseek-v3-original":
        cases += with_text_beside_calls()
    cases += [drawn(rng) for _ in range(60 if family == "deepseek-r1" else 24)]
    for messages, tools in cases:
        if family == "deepseek-r1" and not closed_and_single(messages):
            continue
        if family != "sample":
            tools = []
        if family == "deepseek-v3-original":
            messages = [dict(m, content=None) if "tool_calls" in m else m for m in messages]
        yield messages, tools


def template(path):
    text = pathlib.Path(path).read_text(encoding="utf-8")
    source = json.loads(text)["chat_template"] if path.endswith(".json") else text
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    env.filters["tojson"] = lambda v: json.dumps(v, ensure_ascii=False)
    return env.from_string(source)


def main():
    lines = []
    for argument in sys.argv[1:]:
        family, path = argument.split("=", 1)
        compiled = template(path)
        for messages, tools in conversations(family):
            for thinking, generate in [(False, True), (True, True), (False, False)]:
                if thinking and family in ("deepseek-v3-original", "deepseek-r1"):
                    continue
                wrapped = [{"type": "function", "function": t} for t in tools]
                prompt = compiled.render(messages=messages, tools=wrapped, thinking=thinking, add_generation_prompt=generate, **NAMES)
                lines.append({"family": family, "messages": messages, "tools": tools, "thinking": thinking, "generate": generate, "prompt": prompt})
    body = ",\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    (HERE / "prompt-goldens.json").write_text("[\n" + body + "\n]\n", encoding="utf-8")
    print(len(lines), "prompts with Jinja2", jinja2.__version__)


if __name__ == "__main__":
    main()
