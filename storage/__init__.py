"""How bytes and rows are kept: container, keys, object stores, catalogue, audit log. Knows no calls and no HTTP."""
