# Completion of clusterctl for bash. Names of workers come from the daemon, by `clusterctl complete`.

_clusterctl() {
    local cur prev
    COMPREPLY=()
    cur=${COMP_WORDS[COMP_CWORD]}
    prev=${COMP_WORDS[COMP_CWORD - 1]}

    # The verb, and the runtime directory whose daemon is asked; behind "--" stands a foreign command.
    local verb='' word skip='' i words=0
    local -a place=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $skip ]]; then
            [[ $skip == --runtime-dir ]] && place=(--runtime-dir "$word")
            skip=''
        elif [[ $word == -- ]]; then
            [[ $verb == start ]] && { COMPREPLY=($(compgen -c -- "$cur") $(compgen -f -- "$cur")); return; }
        elif [[ $word == --runtime-dir ]]; then
            skip=$word
        elif [[ $word != -* && -z $verb ]]; then
            verb=$word
        elif [[ $word != -* ]]; then
            ((words += 1))
        fi
    done

    case $prev in
        --runtime-dir | --cwd) COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --file | --program) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --restart) COMPREPLY=($(compgen -W 'always on-failure never' -- "$cur")); return ;;
        --user) COMPREPLY=($(compgen -u -- "$cur")); return ;;
        --stop-signal) COMPREPLY=($(compgen -W "$(compgen -A signal SIG)" -- "$cur")); return ;;
        --timeout | --stop-timeout | --min-uptime | --delay | -d | --ttl) COMPREPLY=($(compgen -W '5s 10s 30s 1m 5m' -- "$cur")); return ;;
        --wait) COMPREPLY=($(compgen -W '100 1000 5000' -- "$cur")); return ;;
        --topic | --name | --group | --store | --limit | --env | -e | --instances | -i | --lines | --since | --parallel | -p) return ;;
        -n) [[ $verb == apply ]] || return ;;
    esac

    if [[ -z $verb ]]; then
        COMPREPLY=($(compgen -W "$(clusterctl complete verbs 2>/dev/null) help --json --runtime-dir --help --version" -- "$cur"))
        return
    fi

    local options='--json --runtime-dir --help'
    case $verb in
        start) options+=' --no-wait --timeout --name --instances --cwd --env --keep-env --restart --user --group
                         --stop-signal --stop-timeout --min-uptime --store --no-store' ;;
        stop | scale | delete | remove | rm | reset | shutdown | kill) options+=' --no-wait --timeout' ;;
        restart) options+=' --no-wait --timeout --parallel' ;;
        reload) options+=' --no-wait --timeout --force' ;;
        apply) options+=' --no-wait --timeout --dry-run' ;;
        events) options+=' --follow --lines --since' ;;
        env) options+=' --running' ;;
        top | monit) options+=' --delay' ;;
        startup) options+=' --user --print' ;;
        store) options+=' --store --ttl --add --replace --file --limit' ;;
        send) options+=' --wait' ;;
        upgrade) options+=' --program' ;;
        messages) options+=' --follow --topic' ;;
        logs | log) options+=' --follow --lines --since --grep --out --err --rotate' ;;
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
        return
    fi

    case $verb in
        start) COMPREPLY=($(compgen -W "$(clusterctl complete selectors "${place[@]}" 2>/dev/null)" -- "$cur")
                          $(compgen -f -X '!*.toml' -- "$cur") $(compgen -d -S / -- "$cur")) ;;
        signal)
            if [[ $words == 0 ]]; then
                COMPREPLY=($(compgen -W "$(compgen -A signal SIG) $(compgen -A signal SIG | sed s/^SIG//)" -- "$cur"))
            else
                COMPREPLY=($(compgen -W "$(clusterctl complete selectors "${place[@]}" 2>/dev/null)" -- "$cur"))
            fi ;;
        send)
            if [[ $words == 0 ]]; then
                COMPREPLY=($(compgen -W "$(clusterctl complete selectors "${place[@]}" 2>/dev/null)" -- "$cur"))
            fi ;;
        validate | check | apply) COMPREPLY=($(compgen -f -X '!*.toml' -- "$cur") $(compgen -d -S / -- "$cur")) ;;
        store)
            if [[ $words == 0 ]]; then
                COMPREPLY=($(compgen -W 'get set del incr list stats counter' -- "$cur"))
            elif [[ $words == 1 && ${COMP_WORDS[COMP_CWORD - 1]} == counter ]]; then
                COMPREPLY=($(compgen -W 'list' -- "$cur"))
            fi ;;
        scale) COMPREPLY=($(compgen -W "$(clusterctl complete workers "${place[@]}" 2>/dev/null)" -- "$cur")) ;;
        stop | restart | reload | delete | remove | rm | reset | status | ls | list | ps | logs | log | describe | show | env | pid | top | monit)
            COMPREPLY=($(compgen -W "$(clusterctl complete selectors "${place[@]}" 2>/dev/null)" -- "$cur")) ;;
        help) COMPREPLY=($(compgen -W "$(clusterctl complete verbs 2>/dev/null)" -- "$cur")) ;;
    esac
}

complete -F _clusterctl clusterctl
