package dev.fathom.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Opening checkpoints of DeepSeek-V3's size, made of sparse files: headers and nothing.
 *
 * <p>The budgets are 200 ms for 20 000 tensors and 1 s for 92 000 tensors in 163 shards on an idle
 * machine with a cold JVM; the assertions allow several times that, and take processor time where
 * the machine is shared and the clock runs on.
 */
class LargeCheckpointTest {
  private static final Logger log = LoggerFactory.getLogger(LargeCheckpointTest.class);

  private static final OperatingSystemMXBean PROCESS =
      ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);

  @TempDir Path folder;

  @Test
  void twentyThousandTensorsOpenWithinTheBudgetOfAPlan() throws IOException {
    write(tensors(14), 36);
    assertOpens(20_000, 1_500);
  }

  @Test
  void deepSeekV3OpensWithinASecond() throws IOException {
    List<TensorSpec> specs = tensors(58);
    assertThat(specs).hasSizeBetween(89_000, 95_000);
    write(specs, 163);
    assertOpens(specs.size(), 4_000);
  }

  private void assertOpens(int atLeast, long budgetMillis) {
    long cpuStart = PROCESS.getProcessCpuTime();
    long start = System.nanoTime();
    Checkpoint checkpoint = Checkpoint.open(folder);
    long wallMillis = (System.nanoTime() - start) / 1_000_000;
    long cpuMillis = (PROCESS.getProcessCpuTime() - cpuStart) / 1_000_000;

    log.info(
        "opened: tensors={} files={} wallMillis={} cpuMillis={}",
        checkpoint.tensors().size(),
        checkpoint.files().size(),
        wallMillis,
        cpuMillis);
    long millis = Math.min(wallMillis, cpuMillis);
    assertThat(checkpoint.tensors()).hasSizeGreaterThanOrEqualTo(atLeast);
    assertThat(millis).isLessThan(budgetMillis);
  }

  /** Routed experts with scales for some layers, and a few others: as in V3. */
  private static List<TensorSpec> tensors(int numLayers) {
    List<TensorSpec> specs = new ArrayList<>();
    for (int layer = 3; layer < 3 + numLayers; layer++) {
      String prefix = "model.layers." + layer + ".";
      for (String norm : List.of("input_layernorm", "post_attention_layernorm")) {
        specs.add(TensorSpec.of(prefix + norm + ".weight", SafetensorsDtype.BF16, 7168));
      }
      for (int expert = 0; expert < 256; expert++) {
        for (String kind : List.of("gate_proj", "up_proj", "down_proj")) {
          boolean down = kind.equals("down_proj");
          String name = prefix + "mlp.experts." + expert + "." + kind + ".weight";
          specs.add(
              TensorSpec.of(
                  name, SafetensorsDtype.F8_E4M3, down ? 7168 : 2048, down ? 2048 : 7168));
          specs.add(
              TensorSpec.of(
                  name + "_scale_inv", SafetensorsDtype.F32, down ? 56 : 16, down ? 16 : 56));
        }
      }
    }
    return specs;
  }

  private void write(List<TensorSpec> specs, int numShards) throws IOException {
    Files.writeString(folder.resolve("config.json"), "{}");
    StringBuilder map = new StringBuilder();
    int perShard = (specs.size() + numShards - 1) / numShards;
    for (int shard = 0; shard * perShard < specs.size(); shard++) {
      String name = "model-%05d-of-%06d.safetensors".formatted(shard + 1, numShards);
      List<TensorSpec> part =
          specs.subList(shard * perShard, Math.min(specs.size(), (shard + 1) * perShard));
      byte[] header = SafetensorsWriter.header(part, Map.of());
      SafetensorsBytes.write(folder.resolve(name), SafetensorsBytes.file(header, 0));
      try (RandomAccessFile file = new RandomAccessFile(folder.resolve(name).toFile(), "rw")) {
        file.setLength(8 + header.length + part.stream().mapToLong(TensorSpec::byteLength).sum());
      }
      for (TensorSpec spec : part) {
        map.append(map.isEmpty() ? "" : ",\n    ");
        map.append('"').append(spec.name()).append("\": \"").append(name).append('"');
      }
    }
    Files.writeString(
        folder.resolve(CheckpointFolder.INDEX),
        "{\n  \"metadata\": {\"total_size\": 1},\n  \"weight_map\": {" + map + "}}");
  }
}
