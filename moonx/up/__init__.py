"""One command that runs MoonX on embedded stores: `manage.py up`."""
