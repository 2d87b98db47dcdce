"""Any vLLM server as sampler and scorer, reached over its OpenAI-compatible completions with token ids.

One request is repeated here for what passes in seconds, inside its own time; a time-out is repeated by
engines/calls.py and a server that is down is waited for by stream/outage.py, so neither is repeated here.
"""
