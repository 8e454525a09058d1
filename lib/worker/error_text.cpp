// What each error means in this library, and what to do.
#include <array>
#include <cerrno>

#include "cluster.h"

namespace {

struct Text {
    int code;
    const char* text;
};

constexpr std::array kTexts{
    Text{0, "no error"},
    Text{ENOTCONN,
         "not connected to clusterd: it did not start this process, or the worker says store = "
         "false or channel = false (neither CLUSTER_STORE or CLUSTER_CHANNEL_FD nor CLUSTER_SOCKET "
         "leads to one); start it by clusterctl start"},
    Text{EBADF,
         "the descriptor that CLUSTER_STORE or CLUSTER_CHANNEL_FD names is not what it should be, "
         "and there is no CLUSTER_SOCKET to ask for another; keep the variables and the "
         "descriptors in what wraps this program"},
    Text{EPROTONOSUPPORT,
         "the store has another layout version than this library; install the libcluster that "
         "belongs to the clusterd that runs"},
    Text{EBADMSG,
         "the store contradicts itself, as some process has written into it past libcluster; or a "
         "message came that this library does not know"},
    Text{EBUSY,
         "no end of others' changes to this key, as some process scribbles in the store past "
         "libcluster; or the channel is open already: there is one in a process"},
    Text{EACCES,
         "clusterd does not count this process among its worker's (it has made itself a daemon of "
         "its own?), or the store may not be written; open it for reading only"},
    Text{EPERM, "not permitted"},
    Text{ETIMEDOUT, "clusterd did not answer at CLUSTER_SOCKET; try again"},
    Text{ECONNREFUSED, "nobody answers at CLUSTER_SOCKET: clusterd has ended"},
    Text{ECONNRESET, "clusterd gave no answer at CLUSTER_SOCKET; try again"},
    Text{EPROTO,
         "the answer at CLUSTER_SOCKET is none that this library knows; install the libcluster "
         "that belongs to the clusterd that runs"},
    Text{EUSERS,
         "every place for a participant belongs to a living thread; raise [store] participants "
         "in the configuration of clusterd, or let fewer threads write"},
    Text{EROFS, "the store is open for reading only"},
    Text{EINVAL,
         "invalid argument: an empty key, name, receiver or topic, a time out of range, an unknown "
         "flag or kind, or text in CLUSTER_STORE or CLUSTER_CHANNEL_FD that is not its format"},
    Text{ENAMETOOLONG,
         "too long: a key has at most 1024 bytes, a counter's name 128, a receiver of messages "
         "256, a topic 126"},
    Text{EILSEQ,
         "a counter's name must be UTF-8 without a zero byte; the data of a message must be one "
         "JSON value, or UTF-8 with CLUSTER_TEXT"},
    Text{EMEDIUMTYPE,
         "wrong type: the value is not a decimal number of 64 bits, there is a counter of this "
         "name of the other kind or an area of another size, or the JSON is no string"},
    Text{ENFILE,
         "the table of counters (or of striped ones) is full; raise [store] counters in the "
         "configuration of clusterd"},
    Text{ENOSPC,
         "the store is full; delete keys, give them a time to live, or raise [store] size in the "
         "configuration of clusterd"},
    Text{EFBIG, "too large: a value has at most 523232 bytes, an area 524128"},
    Text{ENOENT,
         "no such key; or, while the store is being opened: the instance that CLUSTER_SOCKET "
         "belongs to is gone"},
    Text{EEXIST, "the key is there already"},
    Text{ESTALE, "somebody has changed it since; read it again"},
    Text{ERANGE, "the buffer is smaller than the value"},
    Text{EOVERFLOW, "the sum does not fit 64 bits"},
    Text{EOPNOTSUPP,
         "a striped counter can be added to and read, nothing else; and stripes are for "
         "striped counters only"},
    Text{ENOMEM, "this process has no memory left"},
    Text{EAGAIN,
         "no room for the message now: wait until the channel can be written; or, of the store: "
         "this process has no thread key left (PTHREAD_KEYS_MAX)"},
    Text{EMSGSIZE, "the message never fits what is kept with CLUSTER_NOWAIT: send it without"},
    Text{EPIPE, "the channel is closed: clusterd has ended it, or another process has it now"},
    Text{EINTR, "a signal came while this was waiting; call again"},
    Text{EMFILE, "this process has too many open files; raise its limit"},
};

}  // namespace

extern "C" const char* cluster_error_text(int error) {
    const long code = error < 0 ? -long{error} : long{error};
    for (const Text& each : kTexts) {
        if (each.code == code) return each.text;
    }
    return "unknown error";
}
