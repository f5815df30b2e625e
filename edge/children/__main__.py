"""`python -m edge.children DESCRIPTOR PARENT`: the fork server, started by the agent alone."""

import sys

from edge.children.server import main

main(int(sys.argv[1]), int(sys.argv[2]))
