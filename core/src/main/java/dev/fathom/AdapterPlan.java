package dev.fathom;

import dev.fathom.checkpoint.PeftCheckpoint;
import dev.fathom.engine.AdapterLimits;
import dev.fathom.engine.PeftAdapter;
import dev.fathom.program.Linears;
import dev.fathom.program.Program;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The adapters that options name, headers read, and the room for further ones.
 *
 * @param linears where adapters attach
 * @param named the adapters that are loaded with the model
 * @param limits slots and bytes of all
 */
record AdapterPlan(Linears linears, Map<String, PeftAdapter> named, AdapterLimits limits) {

  /** Rank that room is planned for where the options do not say how much. */
  private static final int PLANNED_RANK = 16;

  static AdapterPlan of(Program program, LoadOptions options) {
    Linears linears = new Linears(program);
    Map<String, PeftAdapter> named = new LinkedHashMap<>();
    long bytes = 0;
    for (Map.Entry<String, Path> entry : options.adapters().entrySet()) {
      PeftAdapter adapter = new PeftAdapter(PeftCheckpoint.open(entry.getValue()), linears);
      named.put(entry.getKey(), adapter);
      bytes = Math.addExact(bytes, adapter.bytes());
    }
    int slots = Math.max(options.maxAdapters(), named.size());
    int further = slots - named.size();
    Bytes memory = options.adapterMemory();
    long planned =
        Math.addExact(bytes, Math.multiplyExact(further, linears.adapterBytes(PLANNED_RANK)));
    return new AdapterPlan(
        linears,
        named,
        new AdapterLimits(slots, memory == null || slots == 0 ? planned : memory.count()));
  }
}
