// clusterctl delete: stops whole workers and forgets them; their logs stay.
#include "clusterctl/operation.hpp"
#include "clusterctl/verb.hpp"

namespace cluster::clusterctl {
namespace {

class Delete final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "delete",
                .aliases = {"remove", "rm"},
                .usage = "[options] SELECTOR…",
                .summary = "Stop workers and forget them"};
    }
    void declare(OptionSink& options) override {
        options.words("SELECTOR", selectors_, "Which workers to forget: api, @site, api*, all");
        wait_.declare(options);
    }
    [[nodiscard]] int run(Session& session) override {
        return change_selected(session, selectors_, ctl::request::Delete{selectors_}, wait_,
                               Shown{.all = true}, "clusterctl delete api");
    }

private:
    std::vector<std::string> selectors_;
    WaitOptions wait_;
};

}  // namespace

std::unique_ptr<Verb> make_delete() {
    return std::make_unique<Delete>();
}

}  // namespace cluster::clusterctl
