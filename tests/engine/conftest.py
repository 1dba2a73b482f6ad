import sys
from pathlib import Path

# the toy components are a module of a user's own, found through custom_imports
sys.path.insert(0, str(Path(__file__).parent))
