"""`python -m tools.behaviour`: see `tools.behaviour.command`."""

from bench.errors import exit_with_message
from tools.behaviour.command import app

exit_with_message(app)()
