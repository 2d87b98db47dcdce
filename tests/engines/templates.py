"""Chat templates in the manner of well-known families of models, written for these tests, each with its frame."""

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}

#: By family: the template, and what it makes of the turn T. What it asks for is what such templates ask for.
FAMILIES: dict[str, tuple[str, str]] = {
    "chatml": (
        "{% for message in messages %}\n"
        "{{ '<|start|>' + message['role'] + '\\n' + message['content'] + '<|stop|>' + '\\n' }}\n"
        "{% endfor %}\n"
        "{% if add_generation_prompt %}\n"
        "{{ '<|start|>assistant\\n' }}\n"
        "{% endif %}",
        "<|start|>user\nT<|stop|>\n\n<|start|>assistant\n\n",
    ),
    "chatml with tools": (
        "{%- if tools is not none %}You may call {{ tools | tojson }}.{% endif -%}"
        "{%- if documents is not none and documents | length > 0 %}Read these: {{ documents }}.{% endif -%}"
        "<|user|>{{ messages[0].content | trim }}<|assistant|>",
        "<|user|>T<|assistant|>",
    ),
    "brackets": (
        "{{ bos_token }}{% for message in messages %}"
        "{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns alternate') }}{% endif %}"
        "{% if message.role == 'user' %}[ASK] {{ message.content.strip() }} [/ASK]"
        "{% else %} {{ message.content }}{{ eos_token }}{% endif %}{% endfor %}",
        "<s>[ASK] T [/ASK]",
    ),
    "headers and a guarded date": (
        "{{- bos_token }}\n"
        "{%- if date_string is not defined %}\n"
        "    {%- if strftime_now is defined %}\n"
        "        {%- set date_string = 'the first of May' %}\n"
        "    {%- else %}\n"
        "        {%- set date_string = 'the first of May' %}\n"
        "    {%- endif %}\n"
        "{%- endif %}\n"
        "{{- '<|head|>system<|body|>Today is ' + date_string + '.<|turn|>' }}\n"
        "{%- for message in messages %}\n"
        "    {{- '<|head|>' + message.role + '<|body|>' + message.content | trim + '<|turn|>' }}\n"
        "{%- endfor %}\n"
        "{{- '<|head|>assistant<|body|>' if add_generation_prompt }}",
        "<s><|head|>system<|body|>Today is the first of May.<|turn|>"
        "<|head|>user<|body|>T<|turn|><|head|>assistant<|body|>",
    ),
    "roles renamed": (
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
        "{% for message in messages %}{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
        "{{ '<turn>' + role + '\\n' + message['content'] | trim + '</turn>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<turn>model\\n' }}{% endif %}",
        "<s><turn>user\nT</turn>\n<turn>model\n",
    ),
    "a namespace": (
        "{%- set ns = namespace(system='You help.') -%}{%- for m in messages if m.role == 'system' -%}"
        "{%- set ns.system = m.content -%}{%- endfor -%}"
        "{{ ns.system }}\n"
        "{% for m in messages %}### {{ m.role | capitalize }}:\n{{ m.content }}\n{% endfor %}### Reply:\n",
        "You help.\n### User:\nT\n### Reply:",
    ),
    "marked for training": (
        "{% set mark = 'out' %}{% for message in messages %}{% if message.role == 'user' %}U: {{ message.content }}\n"
        "{% endif %}{% generation %}{% set mark = 'in' %}{{ mark }}:{{ message.role }} {% endgeneration %}"
        "{{ mark }}{% endfor %}",
        "U: T\nin:user out",
    ),
    "leaves its loop": (
        "{% for message in messages %}{% if message.role == 'system' %}{% continue %}{% endif %}{{ message.content }}"
        "{% break %}{% endfor %}<|reply|>",
        "T<|reply|>",
    ),
    "writes JSON": (
        "{{ {'role': '<user> & é', 'n': 1} | tojson }}{{ {'b': 1, 'a': [2]} | tojson(indent=1, sort_keys=true) }}"
        "{{ messages[0].content }}",
        '{"role": "<user> & é", "n": 1}{\n "a": [\n  2\n ],\n "b": 1\n}T',
    ),
    "tokens that a model may lack": (
        "{{ bos_token }}{% if pad_token is defined %}pads{% endif %}{{ unk_token | default('none') }}"
        "{{ messages[0].content }}{{ sep_token }}{{ eos_token }}",
        "<s>noneT</s>",
    ),
}
