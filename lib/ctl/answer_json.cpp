// Answers and errors: rendered by the supervisor, parsed by clusterctl. Field order is that of
// CONTROL.md.
#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "ctl/answer_fields.hpp"
#include "ctl/field_reader.hpp"
#include "ctl/protocol.hpp"
#include "json/line_writer.hpp"

namespace cluster::ctl {

// --- fields, in the order of CONTROL.md: a document is made of them, or a line. Not in the namespace
// below, where a writer of another file would not find them.

template <class Visit>
static void visit_fields(const InstanceOutcome& instance, Visit& visit) {
    visit("id", instance.id);
    visit("outcome", instance.outcome);
    visit("state", instance.state);
    visit("detail", instance.detail);
    visit("err_log", instance.err_log);
    visit("serving", instance.is_serving);
}

template <class Visit>
static void visit_fields(const LastExit& exit, Visit& visit) {
    visit("code", exit.code);
    visit("signal", exit.signal);
    visit("reason", exit.reason);
    visit("detail", exit.detail);
    visit("at_ms", exit.at_ms);
}

template <class Visit>
static void visit_fields(const WorkerStatus& worker, Visit& visit) {
    visit("id", worker.id);
    visit("name", worker.name);
    visit("instance", worker.instance);
    visit("group", worker.group);
    visit("state", worker.state);
    visit("ready", worker.ready);
    visit("pid", worker.pid);
    visit("restarts", worker.restarts);
    visit("uptime_ms", worker.uptime_ms);
    visit("rss_bytes", worker.rss_bytes);
    visit("cpu_percent", worker.cpu_percent);
    visit("last_exit", worker.last_exit);
    visit("next_start_ms", worker.next_start_ms);
    visit("wanted", worker.is_wanted);
    visit("out_log", worker.out_log);
    visit("err_log", worker.err_log);
    visit("status_text", worker.status_text);
    visit("log_problem", worker.log_problem);
    visit("log_lost_bytes", worker.log_lost_bytes);
    visit("waits_for", worker.waits_for);
    visit("reload", worker.reload);
    visit("outdated", worker.is_outdated);
}

namespace {

constexpr std::int64_t kMaxInt = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMaxPid = std::numeric_limits<std::int32_t>::max();
constexpr std::uint64_t kMaxUint32 = std::numeric_limits<std::uint32_t>::max();

// --- rendering
// --------------------------------------------------------------------------------------------------------

Json daemon_fields(const DaemonStatus& daemon) {
    return Json{{"pid", daemon.pid},
                {"supervisor_pid", daemon.supervisor_pid},
                {"version", daemon.version},
                {"uptime_ms", daemon.uptime_ms},
                {"config", daemon.config},
                {"log_dir", daemon.log_dir},
                {"supervisor_starts", daemon.supervisor_starts}};
}

class NameCollector {
public:
    template <class T>
    void operator()(std::string_view name, const T& /*value*/) {
        names_.push_back(name);
    }
    [[nodiscard]] std::vector<std::string_view> take() { return std::move(names_); }

private:
    std::vector<std::string_view> names_;
};

/// Which fields of a row were asked for, by their place in it.
std::vector<bool> chosen_fields(const std::vector<std::string>& wanted) {
    std::vector<bool> chosen;
    for (const std::string_view name : worker_field_names()) {
        chosen.push_back(name == "id" ||
                         std::find(wanted.begin(), wanted.end(), name) != wanted.end());
    }
    return chosen;
}

/// Writes what was asked for, and nothing that is null.
class ChosenWriter {
public:
    ChosenWriter(std::string& line, const std::vector<bool>& chosen)
        : writer_(line), chosen_(chosen) {}

    template <class T>
    void operator()(std::string_view name, const T& value) {
        if (chosen_[next_++]) writer_(name, value);
    }
    template <class T>
    void operator()(std::string_view name, const std::optional<T>& value) {
        if (chosen_[next_++] && value) writer_(name, *value);
    }
    void end() { writer_.end(); }

private:
    json::LineWriter writer_;
    const std::vector<bool>& chosen_;
    std::size_t next_ = 0;
};

class DocumentWriter {
public:
    template <class T>
    void operator()(const char* name, const T& value) {
        object_[name] = value;
    }
    void operator()(const char* name, const std::optional<LastExit>& value) {
        object_[name] = value ? last_exit_fields(*value) : Json();
    }
    [[nodiscard]] Json take() { return std::move(object_); }

private:
    Json object_ = Json::object();
};

template <class T>
Json document_of(const T& value) {
    DocumentWriter writer;
    visit_fields(value, writer);
    return writer.take();
}

Json plan_fields(const std::vector<PlannedWorker>& plan) {
    Json list = Json::array();
    for (const PlannedWorker& worker : plan) {
        Json changes = Json::array();
        for (const PlannedChange& change : worker.changes) {
            changes.push_back(
                Json{{"key", change.key}, {"before", change.before}, {"after", change.after}});
        }
        list.push_back(Json{{"worker", worker.worker},
                            {"action", worker.action},
                            {"instances", worker.instances},
                            {"changes", std::move(changes)}});
    }
    return list;
}

std::string envelope(const RequestId& id, const char* member, const std::string& value) {
    std::string line;
    line.reserve(value.size() + 64);
    line.append(R"({"jsonrpc":"2.0","id":)").append(id.json).append(",\"").append(member);
    return line.append("\":").append(value).append("}\n");
}

template <class T, class Write>
void write_list(std::string& line, const std::vector<T>& list, Write write) {
    line += '[';
    for (const T& element : list) {
        if (&element != list.data()) line += ',';
        write(element);
    }
    line += ']';
}

template <class T>
void write_list(std::string& line, const std::vector<T>& list) {
    json::LineWriter writer(line);
    write_list(line, list, [&writer](const T& element) { writer.write(element); });
}

void write_rows(std::string& line, const std::vector<WorkerStatus>& workers,
                const std::vector<std::string>& fields) {
    const std::vector<bool> chosen = chosen_fields(fields);
    write_list(line, workers, [&](const WorkerStatus& worker) {
        ChosenWriter writer(line, chosen);
        visit_fields(worker, writer);
        writer.end();
    });
}

/// What answer_fields makes a document of, as a line.
template <class T>
std::string answer_line(const T& answer) {
    return dump_line(answer_fields(answer));
}

std::string answer_line(const StatusAnswer& answer) {
    std::string line = R"({"daemon":)" + dump_line(daemon_fields(answer.daemon));
    line.reserve(answer.workers.size() * (answer.fields.empty() ? 512 : 192) + 1024);
    line += R"(,"workers":)";
    if (answer.fields.empty()) {
        write_list(line, answer.workers);
    } else {
        write_rows(line, answer.workers, answer.fields);
    }
    line += R"(,"sockets":)" + dump_line(sockets_fields(answer.sockets));
    return line += '}';
}

std::string answer_line(const OperationAnswer& answer) {
    std::string line = R"({"operation":)" + std::to_string(answer.operation);
    line += R"(,"state":)" + json::quote(answer.state) + R"(,"instances":)";
    write_list(line, answer.instances);
    line += R"(,"done":)" + std::to_string(answer.done) + R"(,"selected":)";
    write_list(line, answer.selected);
    line += R"(,"notes":)";
    write_list(line, answer.notes);
    line += R"(,"plan":)" + dump_line(plan_fields(answer.plan));
    return line += '}';
}

// --- parsing
// ----------------------------------------------------------------------------------------------------------

std::int32_t read_pid(FieldReader& fields, std::string_view name) {
    return static_cast<std::int32_t>(fields.integer(name, 0, kMaxPid));
}

VersionAnswer read_version_answer(FieldReader& fields) {
    VersionAnswer answer;
    answer.version = fields.text("version");
    answer.control_version =
        static_cast<std::uint32_t>(fields.counter("control_version", kMaxUint32));
    answer.pid = read_pid(fields, "pid");
    answer.supervisor_pid = read_pid(fields, "supervisor_pid");
    answer.events = fields.optional_text("events").value_or("");
    if (fields.find("successions") != nullptr) {
        answer.successions = static_cast<std::uint32_t>(fields.counter("successions", kMaxUint32));
    }
    return answer;
}

DaemonStatus read_daemon(const Json& value, const std::string& where) {
    FieldReader fields(value, where, UnknownFields::ignore);
    DaemonStatus daemon;
    daemon.pid = read_pid(fields, "pid");
    daemon.supervisor_pid = read_pid(fields, "supervisor_pid");
    daemon.version = fields.text("version");
    daemon.uptime_ms = fields.integer("uptime_ms", -kMaxInt, kMaxInt);
    daemon.config = fields.optional_text("config");
    daemon.log_dir = fields.text("log_dir");
    daemon.supervisor_starts = fields.counter("supervisor_starts");
    return daemon;
}

StatusAnswer read_status_answer(FieldReader& fields) {
    StatusAnswer answer;
    answer.daemon = read_daemon(fields.require("daemon"), fields.path("daemon"));
    const Json::Elements& workers = fields.array("workers", kAnswerBounds.values);
    answer.workers.reserve(workers.size());
    for (const Json& worker : workers) {
        answer.workers.push_back(
            read_worker(worker, fields.path("workers", answer.workers.size())));
    }
    answer.sockets = read_sockets(fields);
    return answer;
}

std::vector<PlannedWorker> read_plan(FieldReader& fields) {
    std::vector<PlannedWorker> plan;
    for (const Json& element : fields.array("plan", kAnswerBounds.values)) {
        FieldReader entry(element, fields.path("plan", plan.size()), UnknownFields::ignore);
        PlannedWorker worker;
        worker.worker = entry.text("worker");
        worker.action = entry.text("action");
        worker.instances = static_cast<std::uint32_t>(entry.counter("instances", kMaxUint32));
        for (const Json& each : entry.array("changes", kAnswerBounds.values)) {
            FieldReader change(each, entry.path("changes", worker.changes.size()),
                               UnknownFields::ignore);
            worker.changes.push_back({change.text("key"), change.optional_text("before"),
                                      change.optional_text("after")});
        }
        plan.push_back(std::move(worker));
    }
    return plan;
}

OperationAnswer read_operation_answer(FieldReader& fields) {
    OperationAnswer answer;
    answer.operation = fields.counter("operation");
    answer.state = fields.text("state");
    for (const Json& element : fields.array("instances", kAnswerBounds.values)) {
        FieldReader instance(element, fields.path("instances", answer.instances.size()),
                             UnknownFields::ignore);
        InstanceOutcome outcome;
        outcome.id = instance.text("id");
        outcome.outcome = instance.text("outcome");
        outcome.state = instance.text("state");
        outcome.detail = instance.optional_text("detail");
        outcome.err_log = instance.optional_text("err_log");
        if (instance.find("serving") != nullptr) outcome.is_serving = instance.boolean("serving");
        answer.instances.push_back(std::move(outcome));
    }
    answer.done = static_cast<std::uint32_t>(fields.counter("done", kMaxUint32));
    answer.selected = fields.texts("selected", kAnswerBounds.values);
    answer.notes = fields.texts("notes", kAnswerBounds.values);
    if (fields.find("plan") != nullptr) answer.plan = read_plan(fields);
    return answer;
}

RotateAnswer read_rotate_answer(FieldReader& fields) {
    RotateAnswer answer;
    answer.archives = static_cast<std::uint32_t>(fields.counter("archives", kMaxUint32));
    return answer;
}

}  // namespace

Json last_exit_fields(const LastExit& exit) {
    return document_of(exit);
}

const std::vector<std::string_view>& worker_field_names() {
    static const std::vector<std::string_view> names = [] {
        NameCollector collector;
        visit_fields(WorkerStatus{}, collector);
        return collector.take();
    }();
    return names;
}

Json worker_fields(const WorkerStatus& worker) {
    return document_of(worker);
}

std::optional<std::int64_t> optional_integer(FieldReader& fields, std::string_view name) {
    if (fields.find(name) == nullptr) return std::nullopt;
    return fields.integer(name, -kMaxInt, kMaxInt);
}

LastExit read_last_exit(const Json& value, const std::string& where) {
    FieldReader fields(value, where, UnknownFields::ignore);
    LastExit exit;
    if (fields.find("code") != nullptr) {
        exit.code = static_cast<int>(fields.integer("code", -kMaxPid, kMaxPid));
    }
    exit.signal = fields.optional_text("signal");
    exit.reason = fields.text("reason");
    exit.detail = fields.optional_text("detail");
    exit.at_ms = fields.integer("at_ms", -kMaxInt, kMaxInt);
    return exit;
}

WorkerStatus read_worker(const Json& value, const std::string& where) {
    FieldReader fields(value, where, UnknownFields::ignore);
    WorkerStatus worker;
    worker.id = fields.text("id");
    // All others may have been left out (request::Status::fields).
    const auto has = [&](std::string_view name) { return fields.find(name) != nullptr; };
    const auto number = [&](std::string_view name) {
        return has(name) ? static_cast<std::uint32_t>(fields.counter(name, kMaxUint32)) : 0U;
    };
    const auto boolean = [&](std::string_view name) { return has(name) && fields.boolean(name); };
    const auto text = [&](std::string_view name) {
        return fields.optional_text(name).value_or("");
    };
    worker.name = text("name");
    worker.instance = number("instance");
    worker.group = fields.optional_text("group");
    worker.state = text("state");
    worker.ready = boolean("ready");
    if (has("pid")) worker.pid = read_pid(fields, "pid");
    worker.restarts = number("restarts");
    worker.uptime_ms = optional_integer(fields, "uptime_ms");
    if (has("rss_bytes")) worker.rss_bytes = fields.counter("rss_bytes");
    if (has("cpu_percent")) {
        worker.cpu_percent = fields.real("cpu_percent", 0.0, std::numeric_limits<double>::max());
    }
    if (const Json* exit = fields.find("last_exit")) {
        worker.last_exit = read_last_exit(*exit, fields.path("last_exit"));
    }
    worker.next_start_ms = optional_integer(fields, "next_start_ms");
    worker.is_wanted = boolean("wanted");
    worker.out_log = text("out_log");
    worker.err_log = text("err_log");
    worker.status_text = fields.optional_text("status_text");
    worker.log_problem = fields.optional_text("log_problem");
    if (has("log_lost_bytes")) worker.log_lost_bytes = fields.counter("log_lost_bytes");
    worker.waits_for = fields.optional_text("waits_for");
    worker.reload = fields.optional_text("reload");
    worker.is_outdated = boolean("outdated");
    return worker;
}

RpcError read_error(const Json& value) {
    FieldReader fields(value, "error", UnknownFields::ignore);
    RpcError error;
    error.code = static_cast<ErrorCode>(fields.integer("code", -kMaxPid, kMaxPid));
    error.message = fields.text("message");
    if (const Json* data = fields.find("data")) {
        FieldReader details(*data, "error.data", UnknownFields::ignore);
        if (details.find("diagnostics") != nullptr) {
            error.diagnostics = details.texts("diagnostics", kAnswerBounds.values);
        }
    }
    return error;
}

Json answer_fields(const VersionAnswer& answer) {
    return Json{{"version", answer.version},
                {"control_version", answer.control_version},
                {"pid", answer.pid},
                {"supervisor_pid", answer.supervisor_pid},
                {"events", answer.events},
                {"successions", answer.successions}};
}

Json answer_fields(const StatusAnswer& answer) {
    Json workers = Json::array();
    for (const WorkerStatus& worker : answer.workers) workers.push_back(worker_fields(worker));
    return Json{{"daemon", daemon_fields(answer.daemon)},
                {"workers", std::move(workers)},
                {"sockets", sockets_fields(answer.sockets)}};
}

Json answer_fields(const OperationAnswer& answer) {
    Json instances = Json::array();
    for (const InstanceOutcome& instance : answer.instances) {
        instances.push_back(document_of(instance));
    }
    return Json{{"operation", answer.operation},     {"state", answer.state},
                {"instances", std::move(instances)}, {"done", answer.done},
                {"selected", answer.selected},       {"notes", answer.notes},
                {"plan", plan_fields(answer.plan)}};
}

Json answer_fields(const RotateAnswer& answer) {
    return Json{{"archives", answer.archives}};
}

std::string render_answer(const RequestId& id, const Answer& answer) {
    return std::visit(
        [&id](const auto& specific) { return envelope(id, "result", answer_line(specific)); },
        answer);
}

std::string render_error(const RequestId& id, const RpcError& error) {
    Json fields{{"code", static_cast<std::int32_t>(error.code)}, {"message", error.message}};
    if (!error.diagnostics.empty()) fields["data"] = Json{{"diagnostics", error.diagnostics}};
    return envelope(id, "error", dump_line(fields));
}

tl::expected<VersionAnswer, RpcError> parse_version(std::string_view line) {
    return parse_answer(line, read_version_answer);
}

tl::expected<StatusAnswer, RpcError> parse_status(std::string_view line) {
    return parse_answer(line, read_status_answer);
}

tl::expected<OperationAnswer, RpcError> parse_operation(std::string_view line) {
    return parse_answer(line, read_operation_answer);
}

tl::expected<RotateAnswer, RpcError> parse_rotated(std::string_view line) {
    return parse_answer(line, read_rotate_answer);
}

}  // namespace cluster::ctl
