// reload = { … }: how new runs are brought in.
#include "conf/keys.hpp"
#include "conf/values.hpp"
#include "conf/worker.hpp"

namespace cluster::conf {
namespace {

using core::ReloadSpec;

struct ReloadDraft {
    ReloadSpec* reload;
    bool has_surge = false;
};

void read_mode(ReloadDraft& draft, const Field& field) {
    constexpr std::string_view kExpected = "\"auto\", \"overlap\" or \"stop-first\"";
    const std::optional<std::string> word = read_text(field, kExpected);
    if (!word) return;
    if (*word == "auto") {
        draft.reload->mode = ReloadSpec::Mode::automatic;
    } else if (*word == "overlap") {
        draft.reload->mode = ReloadSpec::Mode::overlap;
    } else if (*word == "stop-first") {
        draft.reload->mode = ReloadSpec::Mode::stop_first;
    } else {
        field.refuse_type(kExpected);
    }
}

void read_count(const Field& field, std::uint32_t& count) {
    const std::optional<std::int64_t> number = read_integer(field, 1, ReloadSpec::kMaxAtOnce);
    if (number) count = static_cast<std::uint32_t>(*number);
}

void read_signal(ReloadDraft& draft, const Field& field) {
    if (!field.is(Node::Kind::string) && !field.is(Node::Kind::integer)) {
        field.refuse_type("a signal such as \"SIGHUP\"");
        return;
    }
    const bool is_number = field.is(Node::Kind::integer);
    const tl::expected<int, std::string> signal =
        parse_signal(is_number ? describe(field.value()) : field.value().text);
    if (!signal) {
        field.refuse(signal.error());
    } else if (*signal == 9 || *signal == 19) {  // SIGKILL, SIGSTOP
        field.refuse(signal_name(*signal) + " cannot be caught: nothing reloads itself on it");
    } else {
        draft.reload->signal = *signal;
    }
}

constexpr Keys<ReloadDraft, 4> kReloadKeys{{
    {"mode", read_mode},
    {"batch",
     [](ReloadDraft& draft, const Field& field) { read_count(field, draft.reload->batch); }},
    {"surge",
     [](ReloadDraft& draft, const Field& field) {
         draft.has_surge = true;
         read_count(field, draft.reload->surge);
     }},
    {"signal", read_signal},
}};

}  // namespace

void read_reload(WorkerDraft& draft, const Field& field) {
    if (!require_table(field, "reload = { mode = \"overlap\" }")) return;
    ReloadDraft parts{&draft.spec.reload, false};
    read_table(field, kReloadKeys, parts);
    ReloadSpec& reload = draft.spec.reload;
    if (!parts.has_surge) reload.surge = reload.batch;
}

}  // namespace cluster::conf
