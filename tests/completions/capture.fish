# What fish would offer: reads command lines from stdin, and answers each with the candidates, one a line, and a line "--".
#
#   fish --no-config capture.fish FILE      FILE is clusterctl.fish
source $argv[1]
while read --local line
    complete --do-complete $line | string replace --regex '\t.*' '' | sort -u
    printf '%s\n' --
end
