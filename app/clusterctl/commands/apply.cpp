// clusterctl apply: makes the daemon run exactly what a file says, and with --dry-run only says
// what that would mean.
#include "clusterctl/config_file.hpp"
#include "clusterctl/failure.hpp"
#include "clusterctl/launch.hpp"
#include "clusterctl/operation.hpp"
#include "clusterctl/verb.hpp"
#include "clusterctl/view/plan_view.hpp"
#include "ctl/documents.hpp"

namespace cluster::clusterctl {
namespace {

class ApplyVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "apply",
                .aliases = {},
                .usage = "[--dry-run] [options] FILE.toml",
                .summary = "Make the workers of a file exactly those in it"};
    }
    void declare(OptionSink& options) override {
        options.words("FILE", files_, "The config file");
        options.flag("-n,--dry-run", is_dry_run_, "Only show what would be done");
        wait_.declare(options);
    }
    [[nodiscard]] int run(Session& session) override {
        if (files_.size() != 1) {
            throw usage_failure("expected one config file",
                                "for example: clusterctl apply --dry-run site.toml");
        }
        (void)wait_.limit();
        ConfigFile file = read_good_config(
            files_.front(), [&] { return known_workers(session); }, "nothing was changed");
        Shown shown;
        for (const core::WorkerSpec& worker : file.config->workers) {
            shown.names.push_back(worker.name);
        }
        Client client(session.directories());
        if (is_dry_run_) {
            client.connect();
        } else {
            (void)connect_or_launch(session, client);
        }
        ctl::OperationAnswer operation = client.change(ctl::request::Apply{
            std::move(file.path), std::move(file.text), std::move(file.base_path), is_dry_run_});
        if (is_dry_run_) return show_plan(session, operation);
        return finish_operation(session, client, std::move(operation), wait_, shown);
    }

private:
    static int show_plan(const Session& session, const ctl::OperationAnswer& operation) {
        print(session.options().is_json
                  ? ctl::operation_document(operation, std::nullopt)
                  : render_plan(operation.plan, session.out().width(), session.out().has_colour));
        return kDone;
    }

    std::vector<std::string> files_;
    bool is_dry_run_ = false;
    WaitOptions wait_;
};

}  // namespace

std::unique_ptr<Verb> make_apply() {
    return std::make_unique<ApplyVerb>();
}

}  // namespace cluster::clusterctl
