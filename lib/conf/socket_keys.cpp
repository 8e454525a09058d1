// What a worker says about sockets: `sockets`, `stdin_socket`, and {socket:NAME} in its command and
// environment.
#include <algorithm>

#include "conf/nearest.hpp"
#include "conf/socket.hpp"

namespace cluster::conf {
namespace {

constexpr std::string_view kExpected =
    "the name of a [socket.NAME], or an array of them such as [\"web\", \"admin\"]";

std::vector<std::string_view> names_of(const std::vector<core::SocketSpec>& sockets) {
    std::vector<std::string_view> names;
    for (const core::SocketSpec& socket : sockets) names.emplace_back(socket.name);
    return names;
}

const core::SocketSpec* find_socket(const std::vector<core::SocketSpec>& sockets,
                                    std::string_view name) {
    const auto found = std::find_if(sockets.begin(), sockets.end(),
                                    [&](const auto& socket) { return socket.name == name; });
    return found == sockets.end() ? nullptr : &*found;
}

/// Reports a name that stands for no socket, unless its table may have been lost to a syntax error.
const core::SocketSpec* look_up(const WorkerDraft& draft, const Field& field, const Node& item) {
    if (item.kind != Node::Kind::string) {
        field.refuse_at(item.at, "expected " + std::string(kExpected) + "; got " + describe(item));
        return nullptr;
    }
    const std::vector<core::SocketSpec>& known = draft.file->sockets;
    const core::SocketSpec* socket = find_socket(known, item.text);
    if (socket == nullptr && draft.file->is_complete) {
        field.refuse_at(item.at, "there is no [socket." + item.text + "] in this file" +
                                     suggestion(item.text, names_of(known)));
    }
    return socket;
}

void read_one_socket(WorkerDraft& draft, const Field& field, const Node& item) {
    const core::SocketSpec* socket = look_up(draft, field, item);
    if (socket == nullptr) return;
    std::vector<core::SocketSpec>& sockets = draft.spec.sockets;
    if (find_socket(sockets, socket->name) != nullptr) {
        field.refuse_at(item.at, in_quotes(item.text) + " stands twice");
    } else {
        sockets.push_back(*socket);
    }
}

std::string reference_mistake(const WorkerDraft& draft, const core::SocketReference& reference) {
    if (!reference.is_closed) return "{socket: has no '}' behind it";
    const auto sockets = core::sockets_of(draft.spec);
    std::vector<std::string_view> names;
    for (const core::SocketSpec* socket : sockets) {
        if (socket->name == reference.name) return "";
        names.emplace_back(socket->name);
    }
    const std::string name{reference.name};
    if (find_socket(draft.file->sockets, name) != nullptr) {
        return "{socket:" + name + "} needs sockets = [\"" + name + "\"] in this worker";
    }
    return "{socket:" + name + "}: this worker has no socket " + in_quotes(name) +
           suggestion(name, names);
}

void check_references(const WorkerDraft& draft, const Field& field, const Node& value) {
    for (const Node& item : value.items) check_references(draft, field, item);
    if (value.kind != Node::Kind::string) return;
    auto reference = core::find_socket_reference(value.text, 0);
    while (reference) {
        const std::string mistake = reference_mistake(draft, *reference);
        if (!mistake.empty()) field.refuse_at(value.at, mistake);
        reference = core::find_socket_reference(value.text, reference->at + reference->length);
    }
}

}  // namespace

void read_sockets(WorkerDraft& draft, const Field& field) {
    if (!field.is(Node::Kind::array)) return read_one_socket(draft, field, field.value());
    if (field.value().items.size() > core::kMaxSocketsPerWorker) {
        field.refuse("has more than " + std::to_string(core::kMaxSocketsPerWorker) + " names");
        return;
    }
    for (const Node& item : field.value().items) read_one_socket(draft, field, item);
}

void read_stdin_socket(WorkerDraft& draft, const Field& field) {
    draft.stdin_socket = field;
    if (!field.is(Node::Kind::string)) return field.refuse_type("the name of a [socket.NAME]");
    if (const core::SocketSpec* socket = look_up(draft, field, field.value())) {
        draft.spec.stdin_socket = *socket;
    }
}

void finish_sockets(WorkerDraft& draft) {
    if (draft.stdin_socket && !draft.spec.launch.standard_input.empty()) {
        draft.stdin_socket->refuse_at(draft.stdin_socket->key_at(),
                                      "stdin and stdin_socket exclude each other: choose one");
    }
    if (!draft.file->is_complete) return;
    if (draft.command) check_references(draft, *draft.command, draft.command->value());
    if (!draft.env) return;
    for (const Member& member : draft.env->value().members) {
        check_references(draft, draft.env->inner(member), member.value);
    }
}

}  // namespace cluster::conf
