"""Programs that run inside the sandbox, with the interpreter of the base environment.

Each reads its parameters once from an inherited pipe and writes its result to another one, in lines that begin with a
nonce. Whatever else arrives there was written by the component, and fails the gate.
"""
