// The name of every step that can fail, for Error and for spawn failures on the wire.
//
// The numbers travel between keeper and supervisor and stand in the state memfd: append, never
// renumber.
#pragma once

#include <cstdint>

namespace cluster {

enum class Op : std::int32_t {
    none = 0,
    open = 1,
    read = 2,
    write = 3,
    close = 4,
    stat = 5,
    mkdir = 6,
    rename = 7,
    unlink = 8,
    truncate = 9,
    map = 10,
    memfd = 11,
    seal = 12,
    pipe = 13,
    splice = 14,
    dup = 15,
    socket = 16,
    bind = 17,
    listen = 18,
    accept = 19,
    connect = 20,
    send = 21,
    receive = 22,
    credentials = 23,
    lock = 24,
    epoll = 25,
    signalfd = 26,
    wait = 27,
    signal = 28,
    pidfd = 29,
    clone = 30,
    session = 31,
    chdir = 32,
    umask = 33,
    limit = 34,
    nice = 35,
    groups = 36,
    set_gid = 37,
    set_uid = 38,
    exec = 39,
    lookup_user = 40,
    lookup_group = 41,
    lookup_command = 42,
    plan = 43,     // the plan itself was refused: malformed, unsealed or too large
    message = 44,  // a message of the wrong size, kind or version
    table_full = 45,
    not_held = 46,
    limit_reached = 47,
    subreaper = 48,
    oom_score = 49,
    check_owner = 50,
    parse = 51,
    close_range = 52,
    env_file = 53,
    standard_input = 54,
    notify_socket = 55,
    listening_socket = 58,
    store = 60,
    estate = 61,  // what a keeper leaves to its successor
};

/// A short English word or two for a message such as "exec ./srv: Permission denied". Never null.
[[nodiscard]] constexpr const char* op_name(Op op) {
    switch (op) {
        case Op::none:
            return "nothing";
        case Op::open:
            return "open";
        case Op::read:
            return "read";
        case Op::write:
            return "write";
        case Op::close:
            return "close";
        case Op::stat:
            return "stat";
        case Op::mkdir:
            return "create directory";
        case Op::rename:
            return "rename";
        case Op::unlink:
            return "remove";
        case Op::truncate:
            return "set size of";
        case Op::map:
            return "map memory";
        case Op::memfd:
            return "create memory file";
        case Op::seal:
            return "seal memory file";
        case Op::pipe:
            return "create pipe";
        case Op::splice:
            return "move pipe data";
        case Op::dup:
            return "duplicate descriptor";
        case Op::socket:
            return "create socket";
        case Op::bind:
            return "bind socket";
        case Op::listen:
            return "listen on socket";
        case Op::accept:
            return "accept connection";
        case Op::connect:
            return "connect";
        case Op::send:
            return "send";
        case Op::receive:
            return "receive";
        case Op::credentials:
            return "read peer credentials";
        case Op::lock:
            return "lock";
        case Op::epoll:
            return "epoll";
        case Op::signalfd:
            return "signalfd";
        case Op::wait:
            return "wait for child";
        case Op::signal:
            return "send signal";
        case Op::pidfd:
            return "open process handle";
        case Op::clone:
            return "create process";
        case Op::session:
            return "start session";
        case Op::chdir:
            return "change directory to";
        case Op::umask:
            return "set umask";
        case Op::limit:
            return "set resource limit";
        case Op::nice:
            return "set priority";
        case Op::groups:
            return "set supplementary groups";
        case Op::set_gid:
            return "set group";
        case Op::set_uid:
            return "set user";
        case Op::exec:
            return "exec";
        case Op::lookup_user:
            return "look up user";
        case Op::lookup_group:
            return "look up group";
        case Op::lookup_command:
            return "find command";
        case Op::plan:
            return "read spawn plan";
        case Op::message:
            return "read message";
        case Op::table_full:
            return "find a free slot";
        case Op::not_held:
            return "find held descriptor";
        case Op::limit_reached:
            return "stay within limits";
        case Op::subreaper:
            return "become subreaper";
        case Op::oom_score:
            return "set OOM score";
        case Op::check_owner:
            return "check owner of";
        case Op::parse:
            return "parse";
        case Op::close_range:
            return "close descriptors";
        case Op::env_file:
            return "read environment file";
        case Op::standard_input:
            return "open standard input";
        case Op::notify_socket:
            return "create notify socket";
        case Op::listening_socket:
            return "open listening socket";
        case Op::store:
            return "use store";
        case Op::estate:
            return "take over from a predecessor";
    }
    return "unknown step";
}

}  // namespace cluster
