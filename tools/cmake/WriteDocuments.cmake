# Writes gemma's manual page and completion scripts into FOLDER. GEMMA is the
# path of the command.

foreach(document IN ITEMS "man;gemma.1" "completion bash;gemma.bash"
        "completion zsh;gemma.zsh" "completion fish;gemma.fish")
  list(GET document 0 words)
  list(GET document 1 name)
  separate_arguments(words)
  execute_process(COMMAND "${GEMMA}" ${words} OUTPUT_FILE "${FOLDER}/${name}"
    COMMAND_ERROR_IS_FATAL ANY)
endforeach()
