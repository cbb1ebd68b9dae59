"""In: compiled output of two compilers for one engine. Out: what each means, step by step, and what differs between them."""
