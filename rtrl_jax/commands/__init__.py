"""The command-line programs: `command` of each module is a console command of the package, and what launch/ starts."""
