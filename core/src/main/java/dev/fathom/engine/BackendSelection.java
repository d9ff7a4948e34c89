package dev.fathom.engine;

import dev.fathom.backend.Availability;
import dev.fathom.backend.BackendProvider;
import dev.fathom.error.BackendException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.Text;
import dev.fathom.program.Program;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The backend that was chosen, and why.
 *
 * @param provider creates it
 * @param reason one line: what was found, and why nothing that ranks higher
 * @param isReference whether it is the slow one that runs everywhere
 */
public record BackendSelection(BackendProvider provider, String reason, boolean isReference) {

  /** The name that leaves the choice to the library. */
  public static final String AUTO = "auto";

  private static final Logger log = LoggerFactory.getLogger(BackendSelection.class);
  private static final String CPU = "cpu";
  private static final String ADD_CPU = "add the dependency dev.fathom:fathom-cpu-backend";

  private record Candidate(BackendProvider provider, String name, int rank, Availability probe) {}

  /**
   * Chooses among the providers that the service loader finds.
   *
   * @param wanted a provider's name or {@link #AUTO}
   * @param requiresFast whether the reference backend is no choice
   * @param program what it must be able to run
   * @throws BackendException if the name is not known or nothing suitable can run
   */
  public static BackendSelection choose(String wanted, boolean requiresFast, Program program) {
    return choose(found(), wanted, requiresFast, program);
  }

  /** As {@link #choose(String, boolean, Program)}, among these providers. */
  public static BackendSelection choose(
      List<BackendProvider> providers, String wanted, boolean requiresFast, Program program) {
    List<Candidate> candidates = new ArrayList<>();
    for (BackendProvider provider : providers) {
      candidates.add(probe(provider, program));
    }
    candidates.sort(Comparator.comparingInt(Candidate::rank).reversed());
    Candidate chosen =
        wanted.equals(AUTO) ? best(candidates, requiresFast) : named(candidates, wanted);
    boolean isReference = chosen.rank() == 0;
    String reason = reason(candidates, chosen, wanted);
    log.info("backend chosen: name={} reason=\"{}\"", chosen.name(), reason);
    if (isReference && requiresFast) {
      throw notFast(candidates);
    }
    if (isReference && wanted.equals(AUTO)) {
      log.warn(
          "slow backend: name={} reason=\"no fast backend can run\" fix=\"{}\"",
          chosen.name(),
          fixes(candidates));
    }
    return new BackendSelection(chosen.provider(), reason, isReference);
  }

  private static List<BackendProvider> found() {
    List<BackendProvider> providers = new ArrayList<>();
    collect(ServiceLoader.load(BackendProvider.class), providers);
    if (providers.isEmpty()) {
      ClassLoader own = BackendProvider.class.getClassLoader();
      collect(ServiceLoader.load(BackendProvider.class, own), providers);
    }
    return providers;
  }

  private static void collect(
      ServiceLoader<BackendProvider> loader, List<BackendProvider> providers) {
    Iterator<BackendProvider> iterator = loader.iterator();
    while (true) {
      try {
        if (!iterator.hasNext()) {
          return;
        }
        providers.add(iterator.next());
      } catch (ServiceConfigurationError e) {
        log.warn("backend ignored: reason={}", e.toString());
      }
    }
  }

  /** A provider that throws is one that cannot run. */
  private static Candidate probe(BackendProvider provider, Program program) {
    String name = provider.getClass().getName();
    int rank = 1;
    try {
      name = provider.name();
      rank = provider.preference();
      Availability here = provider.probe();
      Availability probe = here.available() ? combine(here, provider.supports(program)) : here;
      return new Candidate(provider, name, rank, probe);
    } catch (RuntimeException | Error e) {
      String reason = "its probe failed with " + Text.quote(e.toString());
      return new Candidate(provider, name, rank, Availability.no(reason, "report this"));
    }
  }

  private static Availability combine(Availability here, Availability supports) {
    return supports.available() ? here : supports;
  }

  private static Candidate best(List<Candidate> candidates, boolean requiresFast) {
    for (Candidate candidate : candidates) {
      if (candidate.probe().available() && !(requiresFast && candidate.rank() == 0)) {
        return candidate;
      }
    }
    if (requiresFast) {
      throw notFast(candidates);
    }
    throw new BackendException(
        ErrorCode.BACKEND_UNAVAILABLE, "No backend can run", others(candidates), ADD_CPU);
  }

  private static Candidate named(List<Candidate> candidates, String wanted) {
    for (Candidate candidate : candidates) {
      if (!candidate.name().equals(wanted)) {
        continue;
      }
      Availability probe = candidate.probe();
      if (!probe.available()) {
        throw new BackendException(
            ErrorCode.BACKEND_UNAVAILABLE,
            "The backend " + Text.quote(wanted) + " cannot run",
            probe.reason(),
            probe.fix().isEmpty() ? "use backend \"auto\"" : probe.fix());
      }
      return candidate;
    }
    String known = AUTO + ", " + String.join(", ", names(candidates));
    String add = "add the dependency dev.fathom:fathom-" + wanted + "-backend, or ";
    throw new BackendException(
        ErrorCode.BACKEND_UNKNOWN,
        "There is no backend " + Text.quote(wanted),
        "known are " + known,
        (wanted.equals(CPU) || wanted.equals("cuda") ? add : "") + "use one of: " + known);
  }

  private static List<String> names(List<Candidate> candidates) {
    return candidates.stream().map(Candidate::name).toList();
  }

  private static BackendException notFast(List<Candidate> candidates) {
    return new BackendException(
        ErrorCode.BACKEND_UNAVAILABLE,
        "No fast backend can run, and requireFastBackend is set",
        others(candidates),
        fixes(candidates));
  }

  /** Why none but the reference can run. */
  private static String others(List<Candidate> candidates) {
    String reasons = reasons(candidates.stream().filter(c -> c.rank() > 0).toList());
    if (names(candidates).contains(CPU)) {
      return reasons;
    }
    return (reasons.isEmpty() ? "" : reasons + "; ") + "cpu: not on the class path";
  }

  private static String reasons(List<Candidate> candidates) {
    return String.join(
        "; ", candidates.stream().map(c -> c.name() + ": " + c.probe().reason()).toList());
  }

  private static String fixes(List<Candidate> candidates) {
    for (Candidate candidate : candidates) {
      if (candidate.name().equals(CPU) && !candidate.probe().fix().isEmpty()) {
        return candidate.probe().fix();
      }
    }
    return names(candidates).contains(CPU) ? "see the reasons" : ADD_CPU;
  }

  private static String reason(List<Candidate> candidates, Candidate chosen, String wanted) {
    String found = chosen.probe().reason();
    if (!wanted.equals(AUTO)) {
      return "asked for; " + found;
    }
    List<Candidate> higher =
        candidates.stream().filter(candidate -> candidate.rank() > chosen.rank()).toList();
    String why = chosen.rank() > 0 ? reasons(higher) : others(candidates);
    return why.isEmpty() ? found : found + "; " + why;
  }
}
