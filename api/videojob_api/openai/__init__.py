"""The OpenAI Videos protocol on top of the same jobs: its words, its shapes and its rules.

The hosted service of that protocol has ended, the protocol has not: every OpenAI client library speaks it. What it
cannot say (frames, guidance, seed, profile, webhook, several videos) is accepted under the names of POST /generate,
which the official clients send from `extra_body`.
"""
