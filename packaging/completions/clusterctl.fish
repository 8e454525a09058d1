# Completion of clusterctl for fish. Names of workers come from the daemon, by `clusterctl complete`.

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

set -l verbs start stop restart scale delete status logs validate shutdown version help
set -l none "not __fish_seen_subcommand_from $verbs"
complete -c clusterctl -n $none -a start -d 'Start workers'
complete -c clusterctl -n $none -a stop -d 'Stop workers and keep them down'
complete -c clusterctl -n $none -a restart -d 'Stop and start workers again'
complete -c clusterctl -n $none -a scale -d 'Change the number of instances'
complete -c clusterctl -n $none -a delete -d 'Stop workers and forget them'
complete -c clusterctl -n $none -a status -d 'Show workers and the daemon'
complete -c clusterctl -n $none -a logs -d 'Show and follow the logs'
complete -c clusterctl -n $none -a validate -d 'Check config files'
complete -c clusterctl -n $none -a shutdown -d 'Stop all workers and the daemon'
complete -c clusterctl -n $none -a version -d 'Show the versions'
complete -c clusterctl -n $none -a help -d 'Show help'

set -l waiting '__fish_seen_subcommand_from start stop restart scale delete shutdown'
complete -c clusterctl -n $waiting -l no-wait -d 'Return as soon as it is accepted'
complete -c clusterctl -n $waiting -l timeout -x -a '5s 10s 30s 1m 5m' -d 'Wait no longer'

complete -c clusterctl -n '__fish_seen_subcommand_from stop restart delete status logs start' -a '(__clusterctl_names selectors)'
complete -c clusterctl -n '__fish_seen_subcommand_from scale' -a '(__clusterctl_names workers)'
complete -c clusterctl -n '__fish_seen_subcommand_from start validate' -a '(__fish_complete_suffix .toml)'
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

set -l logs '__fish_seen_subcommand_from logs'
complete -c clusterctl -n $logs -s f -l follow -d 'Go on with what is written'
complete -c clusterctl -n $logs -s n -l lines -x -d 'How many lines'
complete -c clusterctl -n $logs -l out -d 'Standard output only'
complete -c clusterctl -n $logs -l err -d 'Standard error only'
