# What bash would offer: reads command lines from stdin, and answers each with the candidates, one a line, and a line "--".
#
#   bash capture.bash FILE      FILE is clusterctl.bash
source "$1"
while IFS= read -r line; do
    read -r -a COMP_WORDS <<<"$line"
    [[ $line == *' ' ]] && COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMP_LINE=$line
    COMP_POINT=${#line}
    COMPREPLY=()
    _clusterctl
    ((${#COMPREPLY[@]})) && printf '%s\n' "${COMPREPLY[@]}" | sort -u
    echo --
done
