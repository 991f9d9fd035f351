"""The studio: a local page to type sentences into, and the HTTP API that it uses and that others may use.

`requests.py`: what a client may ask, with its limits · `models.py`: the models that answer · `jobs.py`: the queue, and
the one thread that generates · `made.py`: a motion as the page needs it · `recipes.py`: the same as a command or as
Python · `server.py`: routes and errors · `assets/`: the page. Needs fastapi and uvicorn (`atm-motion[studio]`), which
`server.py` alone imports.
"""
