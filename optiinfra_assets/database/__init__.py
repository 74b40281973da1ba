"""The code on top of the database drivers: connections, SQL files, migrations, errors."""
