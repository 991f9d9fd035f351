"""Tools for assistants that speak the Model Context Protocol: motions are made, exported and explained in one folder.

`tools.py`: what the tools take, do and answer · `server.py`: the protocol, by its own library, which that module alone
imports (`atm-motion[mcp]`).
"""
