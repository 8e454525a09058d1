# What zsh would offer: reads command lines from stdin, and answers each with the candidates, one a line, and a line "--".
#
#   zsh -f capture.zsh DIRECTORY      DIRECTORY has _clusterctl
#
# An interactive zsh runs in a pseudo-terminal; Tab is bound to a widget that completes as Tab does, but writes down what
# is offered in place of showing it.
emulate -R zsh
zmodload zsh/zpty

if [[ $2 != inner ]]; then
    self=${(%):-%x}
    work=$(mktemp -d) || exit 1
    trap 'zpty -d shell 2>/dev/null; rm -rf $work' EXIT
    TERM=dumb zpty shell zsh -f -i
    zpty -w shell "WORK=${(q)work}; source ${(q)self} ${(q)1} inner"
    zpty -r shell seen '*@@ready@@*' || exit 1
    while IFS= read -r line; do
        : >$work/offered
        zpty -w -n shell "$line"$'\t'
        zpty -r shell seen '*@@done@@*' || exit 1
        sort -u $work/offered
        print -r -- --
        zpty -w -n shell $'\C-e\C-u'
    done
    exit 0
fi

PS1= PS2= RPS1=
unsetopt zle_bracketed_paste beep 2>/dev/null
fpath=($1 $fpath)
autoload -Uz compinit
compinit -u -d $WORK/dump

compadd() {
    # Calls that only fill arrays are the completion system's own business.
    local -a offered plain
    local word
    for word in "$@"; do
        [[ $word == (-|--) ]] && break
        [[ $word == -[a-zA-Z]#[OAD] ]] && { builtin compadd "$@"; return; }
    done
    builtin compadd -A offered "$@"
    (( $#offered )) && print -rl -- $offered >>$WORK/offered
    builtin compadd "$@"
}
capture() {
    _main_complete
    compstate[insert]= compstate[list]=
    print -n @@done@@
}
zle -C capture complete-word capture
bindkey -e
bindkey '^I' capture
print @@rea''dy@@
