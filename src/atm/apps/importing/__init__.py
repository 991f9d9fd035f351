"""Published checkpoints become run folders that every command takes."""

from atm.apps.importing.run import Imported, import_published
from atm.apps.importing.systems import System, find_system, list_systems, systems

__all__ = ["Imported", "System", "find_system", "import_published", "list_systems", "systems"]
