"""A load test from outside: queries offered at a rate of their own, and how long each took from when it was due."""
