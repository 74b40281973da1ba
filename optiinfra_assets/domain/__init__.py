"""Types and values that every layer shares. Modules here do no I/O and import no other package of ours."""
