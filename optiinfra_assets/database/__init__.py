"""What stands on a database driver: connections, SQL files, migrations, errors."""
