# Completion of clusterctl for fish. Names of workers come from the daemon, by `clusterctl complete`.

# So many words before this one are no options; the verb is one of them.
function __clusterctl_is_argument
    set -l words (commandline -opc)
    set -l seen 0
    for word in $words[2..-1]
        string match -q -- '-*' $word; or set seen (math $seen + 1)
    end
    test $seen -eq $argv[1]
end

# Behind "--" stands a command of its own.
function __clusterctl_foreign
    set -l words (commandline -opc)
    set -l index (contains -i -- -- $words); or return
    set -l rest $words[(math $index + 1)..-1] (commandline -ct)
    complete --do-complete (string join -- ' ' $rest)
end

function __clusterctl_names
    set -l words (commandline -opc)
    set -l place
    if set -l index (contains -i -- --runtime-dir $words)
        set -l next (math $index + 1)
        test $next -le (count $words); and set place --runtime-dir $words[$next]
    end
    clusterctl complete $argv[1] $place 2>/dev/null
end

complete -c clusterctl -f
complete -c clusterctl -l json -d 'Print one JSON document'
complete -c clusterctl -l runtime-dir -r -F -d 'Runtime directory of the daemon'
complete -c clusterctl -s h -l help -d 'Print the options'

complete -c clusterctl -n 'contains -- -- (commandline -opc)' -k -a '(__clusterctl_foreign)'

set -l verbs start stop restart reload scale apply delete signal send publish messages reset status describe pid env events top startup store logs validate shutdown upgrade version help
set -l aliases ls list ps show remove rm log monit check kill
set -l none "not __fish_seen_subcommand_from $verbs $aliases"
complete -c clusterctl -n $none -a start -d 'Start workers'
complete -c clusterctl -n $none -a stop -d 'Stop workers and keep them down'
complete -c clusterctl -n $none -a restart -d 'Stop and start workers again'
complete -c clusterctl -n $none -a reload -d 'Replace running workers, a few at a time'
complete -c clusterctl -n $none -a scale -d 'Change the number of instances'
complete -c clusterctl -n $none -a delete -d 'Stop workers and forget them'
complete -c clusterctl -n $none -a apply -d 'Make the workers of a file exactly those in it'
complete -c clusterctl -n $none -a signal -d 'Send a signal to main processes'
complete -c clusterctl -n $none -a send -d 'Send a message to workers'
complete -c clusterctl -n $none -a publish -d 'Publish a message'
complete -c clusterctl -n $none -a messages -d 'Follow the messages of workers'
complete -c clusterctl -n '__fish_seen_subcommand_from send' -l wait -x -d 'Ask one of them, so many milliseconds'
complete -c clusterctl -n '__fish_seen_subcommand_from send; and __clusterctl_is_argument 1' -a '(__clusterctl_names selectors)'
complete -c clusterctl -n '__fish_seen_subcommand_from messages' -s f -l follow -d 'Follow'
complete -c clusterctl -n '__fish_seen_subcommand_from messages' -l topic -x -d 'Only these topics'
complete -c clusterctl -n $none -a reset -d 'Forget restarts, backoff and having given up'
complete -c clusterctl -n $none -a describe -d 'Show everything known about an instance'
complete -c clusterctl -n $none -a pid -d 'Print process ids'
complete -c clusterctl -n $none -a env -d 'Show an environment'
complete -c clusterctl -n $none -a events -d 'Show what happened'
complete -c clusterctl -n $none -a top -d 'Watch workers'
complete -c clusterctl -n $none -a startup -d 'Have systemd start the daemon at boot'
complete -c clusterctl -n $none -a store -d 'Look into the shared store, and change it'
complete -c clusterctl -n $none -a status -d 'Show workers and the daemon'
complete -c clusterctl -n $none -a logs -d 'Show and follow the logs'
complete -c clusterctl -n $none -a validate -d 'Check config files'
complete -c clusterctl -n $none -a shutdown -d 'Stop all workers and the daemon'
complete -c clusterctl -n $none -a upgrade -d 'Go on as another version of the daemon'
complete -c clusterctl -n '__fish_seen_subcommand_from upgrade' -l program -r -F -d 'The clusterd to go on as'
complete -c clusterctl -n $none -a version -d 'Show the versions'
complete -c clusterctl -n $none -a help -d 'Show help'

set -l waiting '__fish_seen_subcommand_from start stop restart reload scale apply delete remove rm reset shutdown kill'
complete -c clusterctl -n $waiting -l no-wait -d 'Return as soon as it is accepted'
complete -c clusterctl -n $waiting -l timeout -x -a '5s 10s 30s 1m 5m' -d 'Wait no longer'

complete -c clusterctl -n '__fish_seen_subcommand_from stop restart reload delete remove rm reset status ls list ps describe show pid env top monit logs log start' -a '(__clusterctl_names selectors)'
complete -c clusterctl -n '__fish_seen_subcommand_from scale' -a '(__clusterctl_names workers)'
complete -c clusterctl -n '__fish_seen_subcommand_from start apply validate check' -a '(__fish_complete_suffix .toml)'
complete -c clusterctl -n '__fish_seen_subcommand_from help' -a "$verbs"

set -l start '__fish_seen_subcommand_from start'
complete -c clusterctl -n $start -l name -x -d 'Name of the worker'
complete -c clusterctl -n $start -s i -l instances -x -a '1 2 4 max' -d 'How many'
complete -c clusterctl -n $start -l cwd -x -a '(__fish_complete_directories)' -d 'Working directory'
complete -c clusterctl -n $start -s e -l env -x -d 'Set a variable, NAME=value'
complete -c clusterctl -n $start -l keep-env -d 'Pass the whole environment on'
complete -c clusterctl -n $start -l restart -x -a 'always on-failure never' -d 'When to start it again'
complete -c clusterctl -n $start -l user -x -a '(__fish_complete_users)' -d 'Run as this user'
complete -c clusterctl -n $start -l group -x -d 'Group for selectors'
complete -c clusterctl -n $start -l stop-signal -x -a 'SIGTERM SIGINT SIGQUIT SIGHUP' -d 'Signal that stops it'
complete -c clusterctl -n $start -l stop-timeout -x -a '5s 10s 30s' -d 'SIGKILL follows after this'
complete -c clusterctl -n $start -l min-uptime -x -a '1s 5s' -d 'It must live this long'

complete -c clusterctl -n '__fish_seen_subcommand_from signal; and __clusterctl_is_argument 1' -a 'HUP INT QUIT TERM USR1 USR2 WINCH CONT STOP KILL'
complete -c clusterctl -n '__fish_seen_subcommand_from signal; and not __clusterctl_is_argument 1' -a '(__clusterctl_names selectors)'
complete -c clusterctl -n '__fish_seen_subcommand_from reload' -l force -d 'Instead of a reload that is under way'
complete -c clusterctl -n '__fish_seen_subcommand_from restart' -s p -l parallel -x -a '1 2 4' -d 'So many at a time'
complete -c clusterctl -n '__fish_seen_subcommand_from apply' -s n -l dry-run -d 'Only show what would be done'
complete -c clusterctl -n '__fish_seen_subcommand_from env' -l running -d 'Of the running process'
complete -c clusterctl -n '__fish_seen_subcommand_from events' -s f -l follow -d 'Go on with what happens'
complete -c clusterctl -n '__fish_seen_subcommand_from events' -s n -l lines -x -d 'How many events'
complete -c clusterctl -n '__fish_seen_subcommand_from events' -l since -x -d 'All after this one'
complete -c clusterctl -n '__fish_seen_subcommand_from top monit' -s d -l delay -x -a '500ms 1s 5s' -d 'Between two pictures'
complete -c clusterctl -n '__fish_seen_subcommand_from startup' -l user -d 'As a service of this user'
complete -c clusterctl -n '__fish_seen_subcommand_from startup' -l print -d 'Only show the unit'
complete -c clusterctl -n $start -l store -x -d 'The store that it gets'
complete -c clusterctl -n $start -l no-store -d 'It gets no store'

set -l store '__fish_seen_subcommand_from store'
complete -c clusterctl -n "$store; and not __fish_seen_subcommand_from get set del incr list stats counter" -a 'get set del incr list stats counter'
complete -c clusterctl -n "$store; and __fish_seen_subcommand_from counter" -a list
complete -c clusterctl -n $store -l store -x -d 'Which store'
complete -c clusterctl -n $store -l ttl -x -a '10s 5m 1h 1d' -d 'set: it goes away after this'
complete -c clusterctl -n $store -l add -d 'set: only if the key is not there'
complete -c clusterctl -n $store -l replace -d 'set: only if it is'
complete -c clusterctl -n $store -l file -r -F -d 'set: the value is in this file'
complete -c clusterctl -n $store -s n -l limit -x -d 'list: at most so many keys'

set -l logs '__fish_seen_subcommand_from logs log'
complete -c clusterctl -n $logs -s f -l follow -d 'Go on with what is written'
complete -c clusterctl -n $logs -s n -l lines -x -d 'How many lines'
complete -c clusterctl -n $logs -l since -x -d 'From then on: 10m, 09:30, 2024-05-17'
complete -c clusterctl -n $logs -l grep -x -d 'Only lines that match'
complete -c clusterctl -n $logs -l rotate -d 'Make archives of the logs now'
complete -c clusterctl -n $logs -l out -d 'Standard output only'
complete -c clusterctl -n $logs -l err -d 'Standard error only'
