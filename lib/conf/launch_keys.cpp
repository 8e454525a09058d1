// The keys that say how a process of the worker is started.
#include <array>
#include <cstdint>
#include <utility>

#include "conf/address.hpp"
#include "conf/dotenv.hpp"
#include "conf/keys.hpp"
#include "conf/values.hpp"
#include "conf/worker.hpp"

namespace cluster::conf {
namespace {

constexpr std::size_t kMaxEnvFiles = 64;

constexpr std::string_view kCommandExample =
    "an array of strings such as [\"node\", \"server.js\"], or one string";

/// One word of a command array; its place is the item, not the key.
std::optional<std::string> read_argument(const Field& field, std::size_t index) {
    const Node& item = field.value().items[index];
    const std::string place = "item " + std::to_string(index + 1);
    if (item.kind != Node::Kind::string) {
        std::string message = place + ": expected a string; got " + describe(item);
        if (item.kind == Node::Kind::integer)
            message += " (write " + in_quotes(describe(item)) + ")";
        field.refuse_at(item.at, message);
    } else if (item.text.find('\0') != std::string::npos) {
        field.refuse_at(item.at, place + ": " + in_quotes(item.text) + " has a NUL byte");
    } else if (index == 0 && item.text.empty()) {
        field.refuse_at(item.at, place + ": the program's name is empty");
    } else {
        return item.text;
    }
    return std::nullopt;
}

std::vector<std::string> read_command_array(const Field& field) {
    std::vector<std::string> command;
    if (field.value().items.empty())
        field.refuse("is empty; expected " + std::string(kCommandExample));
    for (std::size_t i = 0; i < field.value().items.size(); ++i) {
        if (std::optional<std::string> word = read_argument(field, i)) {
            command.push_back(std::move(*word));
        }
    }
    return command;
}

std::vector<std::string> read_command_line(const Field& field) {
    const std::optional<std::string> line = read_text(field, kCommandExample);
    if (!line) return {};
    tl::expected<std::vector<std::string>, std::string> words = split_words(*line);
    if (!words) {
        field.refuse(in_quotes(*line) + " " + words.error());
        return {};
    }
    if (words->empty()) {
        field.refuse("is blank; expected " + std::string(kCommandExample));
    } else if (words->front().empty()) {
        field.refuse(in_quotes(*line) + " has an empty program name");
    }
    return std::move(*words);
}

std::vector<std::string> read_shell_text(const Field& field) {
    if (field.is(Node::Kind::array)) {
        field.refuse("with shell = true, expected one string for /bin/sh -c; got an array");
        return {};
    }
    const std::optional<std::string> text = read_text(field, "one string for /bin/sh -c");
    if (!text) return {};
    if (text->find_first_not_of(" \t\r\n") == std::string::npos) {
        field.refuse("is blank; expected one string for /bin/sh -c");
        return {};
    }
    return {"/bin/sh", "-c", *text};
}

void read_variable(WorkerDraft& draft, const Field& field) {
    if (!is_environment_name(field.key())) {
        field.refuse_at(field.key_at(), in_quotes(field.key()) +
                                            " is not a name of an environment variable; expected "
                                            "letters, digits and '_', not starting with a digit");
        return;
    }
    if (is_reserved_environment_name(field.key())) {
        field.refuse_at(field.key_at(), "the daemon sets " + field.key() + " itself");
        return;
    }
    const Node& value = field.value();
    if (value.kind == Node::Kind::string) {
        if (value.text.find('\0') != std::string::npos) {
            field.refuse(in_quotes(value.text) + " has a NUL byte");
        }
        draft.spec.launch.env[field.key()] = value.text;
    } else if (value.kind == Node::Kind::integer || value.kind == Node::Kind::boolean) {
        draft.spec.launch.env[field.key()] = describe(value);
    } else {
        field.refuse_type("a string, an integer, true or false");
    }
}

/// { path = …, interpolate = … } in the making.
struct EnvFileDraft {
    const WorkerDraft* worker;
    core::EnvFile file;
    bool has_path = false;
};

constexpr Keys<EnvFileDraft, 2> kEnvFileKeys{{
    {"path",
     [](EnvFileDraft& draft, const Field& field) {
         draft.has_path = true;
         draft.file.path = read_path(field, *draft.worker->file, "a file").value_or("");
     }},
    {"interpolate",
     [](EnvFileDraft& draft, const Field& field) {
         draft.file.is_plain = !read_flag(field).value_or(true);
     }},
}};

void read_one_env_file(WorkerDraft& draft, const Field& field) {
    EnvFileDraft parts{&draft, {}, false};
    if (field.is(Node::Kind::table)) {
        read_table(field, kEnvFileKeys, parts);
        if (!parts.has_path) field.refuse("has no path; expected { path = \".env\" }");
    } else if (field.is(Node::Kind::string)) {
        parts.file.path = read_path(field, *draft.file, "a file").value_or("");
    } else {
        field.refuse_type("a file such as \".env\", or { path = \".env\", interpolate = false }");
    }
    if (!parts.file.path.empty()) draft.spec.launch.env_files.push_back(std::move(parts.file));
}

struct LimitKind {
    std::string_view name;
    bool is_bytes;  // a size such as "64MiB" is accepted
};

/// Source: getrlimit(2). Units of the others: cpu in seconds, rttime in microseconds, the rest are
/// counts.
constexpr std::array<LimitKind, 16> kLimits{{
    {"as", true},
    {"core", true},
    {"cpu", false},
    {"data", true},
    {"fsize", true},
    {"locks", false},
    {"memlock", true},
    {"msgqueue", true},
    {"nice", false},
    {"nofile", false},
    {"nproc", false},
    {"rss", true},
    {"rtprio", false},
    {"rttime", false},
    {"sigpending", false},
    {"stack", true},
}};

std::optional<std::uint64_t> read_limit_value(const Field& field, bool is_bytes) {
    const Node& value = field.value();
    if (value.kind == Node::Kind::integer && value.integer >= 0) {
        return static_cast<std::uint64_t>(value.integer);
    }
    if (value.kind == Node::Kind::string) {
        if (value.text == "unlimited") return core::ResourceLimit::kUnlimited;
        const bool is_number = !value.text.empty() && value.text.size() <= 18 &&
                               value.text.find_first_not_of("0123456789") == std::string::npos;
        if (is_number) return std::stoull(value.text);
        if (is_bytes) {
            const tl::expected<std::uint64_t, std::string> size = parse_size(value.text);
            if (size) return *size;
            field.refuse(size.error() + "; or \"unlimited\"");
            return std::nullopt;
        }
    }
    field.refuse_type(is_bytes ? "a number of bytes, a size such as \"64MiB\", \"unlimited\", or { "
                                 "soft = …, hard = … }"
                               : "a number from 0, \"unlimited\", or { soft = …, hard = … }");
    return std::nullopt;
}

/// { soft = …, hard = … } in the making.
struct LimitDraft {
    bool is_bytes = false;
    bool has_soft = false;
    bool has_hard = false;
    std::optional<std::uint64_t> soft;
    std::optional<std::uint64_t> hard;
};

constexpr Keys<LimitDraft, 2> kLimitKeys{{
    {"soft",
     [](LimitDraft& draft, const Field& field) {
         draft.has_soft = true;
         draft.soft = read_limit_value(field, draft.is_bytes);
     }},
    {"hard",
     [](LimitDraft& draft, const Field& field) {
         draft.has_hard = true;
         draft.hard = read_limit_value(field, draft.is_bytes);
     }},
}};

void read_limit(WorkerDraft& draft, const Field& field, const LimitKind& kind) {
    core::ResourceLimit limit;
    limit.name = kind.name;
    if (!field.is(Node::Kind::table)) {
        const std::optional<std::uint64_t> value = read_limit_value(field, kind.is_bytes);
        if (!value) return;
        limit.soft = limit.hard = *value;
    } else {
        LimitDraft pair;
        pair.is_bytes = kind.is_bytes;
        read_table(field, kLimitKeys, pair);
        if (!pair.has_soft || !pair.has_hard) {
            field.refuse(std::string("needs both soft and hard; ") +
                         (pair.has_soft   ? "hard"
                          : pair.has_hard ? "soft"
                                          : "each") +
                         " is missing");
        }
        if (!pair.soft || !pair.hard) return;
        // kUnlimited is the largest number, so it compares as it should.
        if (*pair.soft > *pair.hard) field.refuse("soft is above hard");
        limit.soft = *pair.soft;
        limit.hard = *pair.hard;
    }
    draft.spec.launch.limits.push_back(std::move(limit));
}

}  // namespace

void read_command(WorkerDraft& draft, const Field& field) {
    draft.command = field;
}

void read_shell(WorkerDraft& draft, const Field& field) {
    // A bad value counts as given: its only mistake is then its own.
    draft.shell = read_flag(field).value_or(field.is(Node::Kind::string));
}

void finish_command(WorkerDraft& draft, const Field& table) {
    if (!draft.command) {
        if (draft.file->is_complete) {
            table.refuse_at(table.key_at(), "has no command; expected command = " +
                                                std::string("[\"PROGRAM\", \"ARGUMENT\", …]"));
        }
        return;
    }
    const Field& field = *draft.command;
    std::vector<std::string>& command = draft.spec.launch.command;
    if (draft.shell.value_or(false)) {
        command = read_shell_text(field);
    } else {
        command = read_command_value(field);
    }
}

std::vector<std::string> read_command_value(const Field& field) {
    return field.is(Node::Kind::array) ? read_command_array(field) : read_command_line(field);
}

void read_fd_store_max(WorkerDraft& draft, const Field& field) {
    const std::optional<std::int64_t> count = read_integer(field, 0, core::kMaxStoredFds);
    if (count) draft.spec.launch.fd_store_max = static_cast<std::uint32_t>(*count);
}

void read_cwd(WorkerDraft& draft, const Field& field) {
    if (std::optional<std::string> path = read_path(field, *draft.file, "a directory")) {
        draft.spec.launch.cwd = std::move(*path);
    }
}

void read_env_file(WorkerDraft& draft, const Field& field) {
    if (!field.is(Node::Kind::array)) return read_one_env_file(draft, field);
    if (field.value().items.size() > kMaxEnvFiles) {
        field.refuse("has more than " + std::to_string(kMaxEnvFiles) + " files");
        return;
    }
    for (const Node& item : field.value().items) {
        // Each item is read as if it stood alone behind the key.
        const Member member{field.key(), item.at, item};
        read_one_env_file(draft, Field(member, field.path(), field.report()));
    }
}

void read_stdin(WorkerDraft& draft, const Field& field) {
    if (std::optional<std::string> path = read_path(field, *draft.file, "a file")) {
        draft.spec.launch.standard_input = std::move(*path);
    }
}

void read_env(WorkerDraft& draft, const Field& field) {
    draft.env = field;
    if (!require_table(field, "env = { PORT = \"8000\" }")) return;
    for (const Member& member : field.value().members) read_variable(draft, field.inner(member));
}

void read_user(WorkerDraft& draft, const Field& field) {
    constexpr std::string_view kExpected = "\"user\" or \"user:group\"";
    const std::optional<std::string> text = read_text(field, kExpected);
    if (!text) return;
    const std::size_t colon = text->find(':');
    const std::string user = text->substr(0, colon);
    const std::string group = colon == std::string::npos ? "" : text->substr(colon + 1);
    if (!is_account_name(user) || (colon != std::string::npos && !is_account_name(group))) {
        field.refuse_type(kExpected);
        return;
    }
    draft.spec.launch.user = user;
    draft.spec.launch.group = group;
}

void read_umask(WorkerDraft& draft, const Field& field) {
    draft.spec.launch.umask = read_octal(field, "022").value_or(draft.spec.launch.umask);
}

void read_nice(WorkerDraft& draft, const Field& field) {
    if (const std::optional<std::int64_t> nice = read_integer(field, -20, 19)) {
        draft.spec.launch.nice = static_cast<int>(*nice);
    }
}

void read_limits(WorkerDraft& draft, const Field& field) {
    if (!require_table(field, "limits = { nofile = 65536 }")) return;
    for (const Member& member : field.value().members) {
        const Field inner = field.inner(member);
        const LimitKind* known = nullptr;
        std::vector<std::string_view> names;
        for (const LimitKind& kind : kLimits) {
            names.push_back(kind.name);
            if (kind.name == member.key) known = &kind;
        }
        if (known != nullptr) {
            read_limit(draft, inner, *known);
        } else {
            refuse_unknown(inner, field.path(), names);
        }
    }
}

}  // namespace cluster::conf
