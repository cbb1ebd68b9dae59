"""In: parsed arguments. Out: the commands of the command line, the only part of flowc that touches files and the terminal."""
