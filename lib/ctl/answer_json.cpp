// Answers and errors: rendered by the supervisor, parsed by clusterctl. Field order is that of
// CONTROL.md.
#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

#include "ctl/answer_fields.hpp"
#include "ctl/field_reader.hpp"
#include "ctl/protocol.hpp"

namespace cluster::ctl {
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
                {"config", or_null(daemon.config)},
                {"log_dir", daemon.log_dir},
                {"supervisor_starts", daemon.supervisor_starts}};
}

Json instance_fields(const InstanceOutcome& instance) {
    return Json{{"id", instance.id},
                {"outcome", instance.outcome},
                {"state", instance.state},
                {"detail", or_null(instance.detail)},
                {"err_log", or_null(instance.err_log)},
                {"serving", instance.is_serving}};
}

Json plan_fields(const std::vector<PlannedWorker>& plan) {
    Json list = Json::array();
    for (const PlannedWorker& worker : plan) {
        Json changes = Json::array();
        for (const PlannedChange& change : worker.changes) {
            changes.push_back(Json{{"key", change.key},
                                   {"before", or_null(change.before)},
                                   {"after", or_null(change.after)}});
        }
        list.push_back(Json{{"worker", worker.worker},
                            {"action", worker.action},
                            {"instances", worker.instances},
                            {"changes", std::move(changes)}});
    }
    return list;
}

std::string envelope(const RequestId& id, const char* member, const Json& value) {
    return R"({"jsonrpc":"2.0","id":)" + id.json + ",\"" + member + "\":" + dump_line(value) +
           "}\n";
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
    const Json& workers = fields.array("workers", kAnswerBounds.values);
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
    return Json{{"code", or_null(exit.code)},
                {"signal", or_null(exit.signal)},
                {"reason", exit.reason},
                {"detail", or_null(exit.detail)},
                {"at_ms", exit.at_ms}};
}

Json worker_fields(const WorkerStatus& worker) {
    return Json{{"id", worker.id},
                {"name", worker.name},
                {"instance", worker.instance},
                {"group", or_null(worker.group)},
                {"state", worker.state},
                {"ready", worker.ready},
                {"pid", or_null(worker.pid)},
                {"restarts", worker.restarts},
                {"uptime_ms", or_null(worker.uptime_ms)},
                {"rss_bytes", or_null(worker.rss_bytes)},
                {"cpu_percent", or_null(worker.cpu_percent)},
                {"last_exit", worker.last_exit ? last_exit_fields(*worker.last_exit) : Json()},
                {"next_start_ms", or_null(worker.next_start_ms)},
                {"wanted", worker.is_wanted},
                {"out_log", worker.out_log},
                {"err_log", worker.err_log},
                {"status_text", or_null(worker.status_text)},
                {"log_problem", or_null(worker.log_problem)},
                {"log_lost_bytes", worker.log_lost_bytes},
                {"waits_for", or_null(worker.waits_for)},
                {"reload", or_null(worker.reload)},
                {"outdated", worker.is_outdated}};
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
    worker.name = fields.text("name");
    worker.instance = static_cast<std::uint32_t>(fields.counter("instance", kMaxUint32));
    worker.group = fields.optional_text("group");
    worker.state = fields.text("state");
    worker.ready = fields.boolean("ready");
    if (fields.find("pid") != nullptr) worker.pid = read_pid(fields, "pid");
    worker.restarts = static_cast<std::uint32_t>(fields.counter("restarts", kMaxUint32));
    worker.uptime_ms = optional_integer(fields, "uptime_ms");
    if (fields.find("rss_bytes") != nullptr) worker.rss_bytes = fields.counter("rss_bytes");
    if (fields.find("cpu_percent") != nullptr) {
        worker.cpu_percent = fields.real("cpu_percent", 0.0, std::numeric_limits<double>::max());
    }
    if (const Json* exit = fields.find("last_exit")) {
        worker.last_exit = read_last_exit(*exit, fields.path("last_exit"));
    }
    worker.next_start_ms = optional_integer(fields, "next_start_ms");
    worker.is_wanted = fields.boolean("wanted");
    worker.out_log = fields.text("out_log");
    worker.err_log = fields.text("err_log");
    worker.status_text = fields.optional_text("status_text");
    worker.log_problem = fields.optional_text("log_problem");
    if (fields.find("log_lost_bytes") != nullptr) {
        worker.log_lost_bytes = fields.counter("log_lost_bytes");
    }
    worker.waits_for = fields.optional_text("waits_for");
    worker.reload = fields.optional_text("reload");
    if (fields.find("outdated") != nullptr) worker.is_outdated = fields.boolean("outdated");
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
                {"events", answer.events}};
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
        instances.push_back(instance_fields(instance));
    }
    return Json{{"operation", answer.operation},   {"state", answer.state},
                {"instances", instances},          {"done", answer.done},
                {"selected", answer.selected},     {"notes", answer.notes},
                {"plan", plan_fields(answer.plan)}};
}

Json answer_fields(const RotateAnswer& answer) {
    return Json{{"archives", answer.archives}};
}

std::string render_answer(const RequestId& id, const Answer& answer) {
    return std::visit(
        [&id](const auto& specific) { return envelope(id, "result", answer_fields(specific)); },
        answer);
}

std::string render_error(const RequestId& id, const RpcError& error) {
    Json fields{{"code", static_cast<std::int32_t>(error.code)}, {"message", error.message}};
    if (!error.diagnostics.empty()) fields["data"] = Json{{"diagnostics", error.diagnostics}};
    return envelope(id, "error", fields);
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
