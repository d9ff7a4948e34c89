package dev.fathom.checkpoint;

import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.ModelConfigException;
import dev.fathom.error.Text;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A published model on disk: a folder with {@code config.json} and safetensors files.
 *
 * <p>Opening reads the configuration, the index and all headers, checks them against each other and
 * keeps nothing open; no weight is read. {@link #reader} then copies tensors. Immutable and safe
 * for several threads.
 */
public final class Checkpoint {
  private static final Logger log = LoggerFactory.getLogger(Checkpoint.class);

  /** Configuration files and templates; the largest published one has 4 KB. */
  private static final long MAX_CONFIG_BYTES = 16 << 20;

  /** The index; V3's has 9 MB. */
  private static final long MAX_INDEX_BYTES = 256 << 20;

  private final CheckpointFolder folder;
  private final Checksums checksums;
  private final ModelConfig config;
  private final List<SafetensorsFile> files;
  private final Map<String, TensorInfo> tensors;

  private Checkpoint(
      CheckpointFolder folder,
      Checksums checksums,
      ModelConfig config,
      List<SafetensorsFile> files,
      Map<String, TensorInfo> tensors) {
    this.folder = folder;
    this.checksums = checksums;
    this.config = config;
    this.files = List.copyOf(files);
    this.tensors = Collections.unmodifiableMap(tensors);
  }

  /**
   * Opens a folder: {@code config.json}, and {@code model.safetensors} or else {@code
   * model.safetensors.index.json} with its shards.
   *
   * @throws CheckpointException if a file is missing, damaged or not what it claims to be
   * @throws ModelConfigException if {@code config.json} is not a JSON object
   */
  public static Checkpoint open(Path path) {
    CheckpointFolder folder = CheckpointFolder.open(path);
    byte[] listed = folder.read(Checksums.FILE, MAX_CONFIG_BYTES);
    Checksums checksums =
        listed == null ? Checksums.NONE : Checksums.parse(path.resolve(Checksums.FILE), listed);
    if (folder.safetensors().isEmpty() && !folder.has(CheckpointFolder.INDEX)) {
      throw folder.withoutWeights();
    }
    ModelConfig config = config(folder, checksums);
    if (folder.has(CheckpointFolder.SINGLE)) {
      return single(folder, checksums, config);
    }
    if (!folder.has(CheckpointFolder.INDEX)) {
      throw new CheckpointException(
          ErrorCode.INDEX_NOT_FOUND,
          "The checkpoint " + Text.quote(path.toString()) + " cannot be opened",
          "it has shards, but no model.safetensors.index.json: first="
              + Text.quote(folder.safetensors().getFirst()),
          "download the index into the folder; a single file must be called model.safetensors");
    }
    return sharded(folder, checksums, config);
  }

  private static ModelConfig config(CheckpointFolder folder, Checksums checksums) {
    byte[] bytes = smallFile(folder, checksums, CheckpointFolder.CONFIG);
    if (bytes == null) {
      throw new CheckpointException(
          ErrorCode.CONFIG_NOT_FOUND,
          "The checkpoint " + Text.quote(folder.path().toString()) + " cannot be opened",
          "the folder has no config.json",
          "download config.json of the model into it");
    }
    ModelConfig config = parse(folder, bytes, CheckpointFolder.CONFIG);
    if (config.has("auto_map")) {
      log.info("python code ignored: file=config.json key=auto_map");
    }
    return config;
  }

  /** Messages name the whole path: a process may load several models. */
  private static ModelConfig parse(CheckpointFolder folder, byte[] bytes, String name) {
    return ModelConfig.parse(bytes, folder.path().resolve(name).toString());
  }

  private static byte @Nullable [] smallFile(
      CheckpointFolder folder, Checksums checksums, String name) {
    byte[] bytes = folder.read(name, MAX_CONFIG_BYTES);
    if (bytes != null) {
      checksums.check(folder.path().resolve(name), bytes);
    }
    return bytes;
  }

  private static Checkpoint single(
      CheckpointFolder folder, Checksums checksums, ModelConfig config) {
    if (folder.has(CheckpointFolder.INDEX)) {
      log.info("index ignored: reason=\"model.safetensors is there\"");
    }
    SafetensorsFile file = SafetensorsFile.open(folder.resolve(CheckpointFolder.SINGLE));
    LinkedHashMap<String, TensorInfo> tensors = new LinkedHashMap<>();
    file.tensors().forEach(tensor -> tensors.put(tensor.name(), tensor));
    logUnlisted(folder, List.of(CheckpointFolder.SINGLE));
    return new Checkpoint(folder, checksums, config, List.of(file), tensors);
  }

  private static Checkpoint sharded(
      CheckpointFolder folder, Checksums checksums, ModelConfig config) {
    Path path = folder.resolve(CheckpointFolder.INDEX);
    byte[] bytes = CheckpointFiles.readAll(path, MAX_INDEX_BYTES);
    checksums.check(path, bytes);
    ShardIndex index = ShardIndex.parse(path, bytes);
    List<String> names = index.shardNames();
    checkPresent(folder, index, names);
    List<SafetensorsFile> files =
        HeaderReading.openAll(names.stream().map(folder::resolve).toList());
    TreeMap<String, SafetensorsFile> byName = new TreeMap<>();
    for (int i = 0; i < names.size(); i++) {
      byName.put(names.get(i), files.get(i));
    }
    Map<String, TensorInfo> tensors = index.join(byName);
    checkTotalSize(index, files, tensors.values());
    logUnlisted(folder, names);
    return new Checkpoint(folder, checksums, config, files, tensors);
  }

  private static void checkPresent(CheckpointFolder folder, ShardIndex index, List<String> names) {
    List<String> missing = names.stream().filter(name -> !folder.has(name)).toList();
    if (missing.isEmpty()) {
      return;
    }
    String first = missing.getFirst();
    String other = folder.withOtherCase(first);
    if (other != null) {
      throw new CheckpointException(
          ErrorCode.INDEX_SHARD_CASE,
          "The index " + Text.quote(index.file().toString()) + " is not usable",
          "a shard must be named exactly as its file: shard="
              + Text.quote(first)
              + (" file=" + Text.quote(other)),
          "rename the file to " + Text.quote(first));
    }
    throw new CheckpointException(
        ErrorCode.INDEX_SHARD_MISSING,
        "The checkpoint " + Text.quote(folder.path().toString()) + " is incomplete",
        missing.size() + " of " + names.size() + " shards are missing: first=" + Text.quote(first),
        "download the missing shards into the folder");
  }

  private static void checkTotalSize(
      ShardIndex index, List<SafetensorsFile> files, Collection<TensorInfo> tensors) {
    long tensorBytes = tensors.stream().mapToLong(TensorInfo::byteLength).sum();
    long fileBytes = files.stream().mapToLong(SafetensorsFile::byteLength).sum();
    if (index.totalSize() > fileBytes) {
      throw index.fail(
          ErrorCode.INDEX_TOTAL_SIZE,
          "total_size must be at most the bytes of the shards: total_size="
              + index.totalSize()
              + (" shards=" + fileBytes));
    }
    if (index.totalSize() >= 0 && index.totalSize() != tensorBytes) {
      log.warn(
          "total size differs: index={} tensors={} files={}",
          index.totalSize(),
          tensorBytes,
          fileBytes);
    }
  }

  private static void logUnlisted(CheckpointFolder folder, List<String> used) {
    List<String> extra =
        folder.safetensors().stream().filter(name -> !used.contains(name)).toList();
    if (!extra.isEmpty()) {
      log.info("files ignored: count={} first={}", extra.size(), Text.quote(extra.getFirst()));
    }
  }

  /** The folder as it was given. */
  public Path folder() {
    return folder.path();
  }

  /** The content of {@code config.json}. */
  public ModelConfig config() {
    return config;
  }

  /**
   * How the weights are quantized: what {@code config.json} says, else {@code quantize_config.json}
   * (AutoGPTQ) or {@code quant_config.json} (AutoAWQ), where older writers put it beside the
   * configuration; null if there is nothing of it.
   *
   * @throws ModelConfigException if a value has the wrong kind or range
   */
  public @Nullable QuantizationConfig quantization() {
    QuantizationConfig stated = config.quantization();
    if (stated != null) {
      return stated;
    }
    QuantizationConfig gptq = older("quantize_config.json", "gptq");
    return gptq == null ? older("quant_config.json", "awq") : gptq;
  }

  private @Nullable QuantizationConfig older(String name, String method) {
    byte[] bytes = smallFile(folder, checksums, name);
    return bytes == null
        ? null
        : QuantizationConfig.ofOlder(ModelConfig.parse(bytes, name), method);
  }

  /**
   * The content of {@code generation_config.json}; {@link GenerationDefaults#NONE} without it.
   *
   * @throws ModelConfigException if a value has the wrong kind or range
   */
  public GenerationDefaults generationDefaults() {
    byte[] bytes = smallFile(folder, checksums, "generation_config.json");
    return bytes == null
        ? GenerationDefaults.NONE
        : GenerationDefaults.of(parse(folder, bytes, "generation_config.json"));
  }

  /**
   * The content of {@code tokenizer_config.json}; {@link TokenizerConfig#NONE} without it. The chat
   * template of {@code chat_template.jinja}, where newer checkpoints keep it, wins.
   *
   * @throws ModelConfigException if a value has the wrong kind
   */
  public TokenizerConfig tokenizerConfig() {
    byte[] bytes = smallFile(folder, checksums, "tokenizer_config.json");
    TokenizerConfig tokenizer =
        bytes == null
            ? TokenizerConfig.NONE
            : TokenizerConfig.of(parse(folder, bytes, "tokenizer_config.json"));
    byte[] template = smallFile(folder, checksums, "chat_template.jinja");
    return template == null
        ? tokenizer
        : tokenizer.withChatTemplate(new String(template, StandardCharsets.UTF_8));
  }

  /**
   * The bytes of another file of the folder, such as {@code tokenizer.json}, or null if it is not
   * there. Its checksum is verified if one is listed.
   *
   * @param name a plain file name
   * @param maxBytes largest size that is read
   * @throws CheckpointException if it is there but cannot be read
   */
  public byte @Nullable [] file(String name, long maxBytes) {
    byte[] bytes = folder.read(name, maxBytes);
    if (bytes != null) {
      checksums.check(folder.path().resolve(name), bytes);
    }
    return bytes;
  }

  /** The safetensors files, sorted by name. */
  public List<SafetensorsFile> files() {
    return files;
  }

  /** All tensors by name, in the order of the files and of their bytes: the fastest to read. */
  public Map<String, TensorInfo> tensors() {
    return tensors;
  }

  /** The tensor of this name, or null if there is none. */
  public @Nullable TensorInfo find(String name) {
    return tensors.get(name);
  }

  /**
   * The tensor of this name.
   *
   * @throws ModelConfigException if there is none
   */
  public TensorInfo tensor(String name) {
    TensorInfo tensor = tensors.get(name);
    if (tensor == null) {
      throw new ModelConfigException(
          ErrorCode.TENSOR_MISSING,
          "The checkpoint " + Text.quote(folder().toString()) + " does not fit its config.json",
          "it must have the tensor " + Text.quote(name),
          "use config.json and weights of the same revision of the model");
    }
    return tensor;
  }

  /** Bytes of all tensors. */
  public long weightBytes() {
    return tensors.values().stream().mapToLong(TensorInfo::byteLength).sum();
  }

  /** Whether {@code checksums.sha256} lists at least one of the safetensors files. */
  public boolean hasChecksums() {
    return files.stream().anyMatch(file -> checksums.expected(file.path()) != null);
  }

  /**
   * Starts reading weights; the caller closes the reader.
   *
   * @param progress hears of every chunk
   */
  public CheckpointReader reader(ReadProgress progress) {
    return new CheckpointReader(files, checksums, progress);
  }
}
