# The half of scripts/login_path that runs in gdb.
python
import importlib.machinery
importlib.machinery.SourceFileLoader("login_path", "scripts/login_path").load_module().record()
end
