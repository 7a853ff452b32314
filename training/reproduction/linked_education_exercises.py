"""Exercises of Linked Education's document, and the themes of all documents."""

from training.reproduction.course import Document, System, Text

DEEP_LEARNING = Document(
    Text("Deep Learning 05, teaching modules of Linked Education", "Deep Learning 05 – Módulos Didáticos"),
    "004_1e87cdad635ebe4c",
)
ALL = Document(Text("Themes of all documents", "Temas de todos os documentos"))

LINKED_EDUCATION = (
    System(
        DEEP_LEARNING,
        Text("Notebooks transfer_MobileNet and cnn_ox", "Notebooks transfer_MobileNet e cnn_ox"),
        Text("X or O, transfer and from scratch", "X ou O, por transferência e de raiz"),
        Text(
            "MobileNetV2, trained on ImageNet and frozen, gets two dense layers that tell drawings of X and O apart. "
            "A small convolutional net without transfer does the same for comparison, and the document asks who will "
            "enlarge the set of ten pictures a class.",
            "A MobileNetV2, treinada no ImageNet e congelada, recebe duas camadas densas que distinguem desenhos de "
            "X e de O. Uma pequena rede convolucional sem transferência faz o mesmo para comparação, e o documento "
            "pergunta quem aumenta o conjunto de dez imagens por classe.",
        ),
        Text(
            "The document prints no accuracy; we train on generated drawings, and the study transfer shows that "
            "transfer is ahead with ten pictures a class and no longer with 200.",
            "O documento não imprime exatidões; treinamos com desenhos gerados, e o estudo transfer mostra que a "
            "transferência está à frente com dez imagens por classe e já não com 200.",
        ),
        Text(
            "2,257,984 frozen parameters; 12,832 new ones with softmax 2, which the text asks for; the printed "
            "12,821 are those of a single sigmoid output, which is offered, too.",
            "2 257 984 parâmetros congelados; 12 832 novos com softmax 2, que o texto pede; os 12 821 impressos são "
            "os de uma única saída sigmoide, que também existe.",
        ),
        names=("xo_mobilenet", "ten_pictures", "xo_cnn", "transfer"),
    ),
    System(
        DEEP_LEARNING,
        Text("Notebook cnn_cifar10_res2", "Notebook cnn_cifar10_res2"),
        Text("CIFAR-10, residual net", "CIFAR-10, rede residual"),
        Text(
            "The document improves a CIFAR-10 net and names its means: dropout, also on convolutions, and L1 and L2. "
            "Our net has residual blocks and all of these.",
            "O documento melhora uma rede para o CIFAR-10 e indica os meios: dropout, também em convoluções, e L1 e "
            "L2. A nossa rede tem blocos residuais e tudo isto.",
        ),
        Text(
            "The document prints no figures, so there is nothing to compare; the run here used a JPEG copy of "
            "CIFAR-10, which is lossy.",
            "O documento não imprime valores, pelo que não há nada a comparar; esta execução usou uma cópia em JPEG "
            "do CIFAR-10, que tem perdas.",
        ),
        names=("cifar10_residual",),
    ),
    System(
        DEEP_LEARNING,
        Text("Notebook recursivo", "Notebook recursivo"),
        Text("Compound interest, three ways", "Juros compostos, de três maneiras"),
        Text(
            "The value v(m) = v(m−1)·(1+i) is computed by recursion, by the unfolded formula and by a recurrent cell "
            "with fixed weights. All three must give one answer.",
            "O valor v(m) = v(m−1)·(1+i) é calculado por recursão, pela fórmula desdobrada e por uma célula "
            "recorrente com pesos fixos. As três maneiras têm de dar a mesma resposta.",
        ),
        Text(
            "The document prints no figures; the three ways differ by rounding only.",
            "O documento não imprime valores; as três maneiras só diferem no arredondamento.",
        ),
        Text(
            "Recursion = formula = recurrent cell, for 1 to 360 months.",
            "Recursão = fórmula = célula recorrente, de 1 a 360 meses.",
        ),
        names=("compound_interest",),
    ),
    System(
        DEEP_LEARNING,
        Text("Notebook senoid_rnn", "Notebook senoid_rnn"),
        Text("Next value of a sine", "Próximo valor de um seno"),
        Text(
            "A recurrent cell with the identity as activation predicts the next value of sin(x), with x in steps of "
            "π/10. Its predictions for [sin 0.31] and [sin 0.31, sin 0.62] are to be computed from the weights by "
            "hand.",
            "Uma célula recorrente com a identidade como ativação prevê o próximo valor de sen(x), com x em passos "
            "de π/10. As previsões para [sen 0,31] e [sen 0,31, sen 0,62] devem ser calculadas à mão a partir dos "
            "pesos.",
        ),
        Text(
            "The document prints no figures; by hand and by model agree to 1e-6.",
            "O documento não imprime valores; o cálculo à mão e o do modelo coincidem até 1e-6.",
        ),
        Text("3 parameters; by hand = by model.", "3 parâmetros; à mão = pelo modelo."),
        names=("sine_rnn",),
    ),
    System(
        DEEP_LEARNING,
        Text("Notebook stock_rnn", "Notebook stock_rnn"),
        Text("Next day's price", "Preço do dia seguinte"),
        Text(
            "A SimpleRNN of four cells and a dense layer predict a share's next price from ten daily prices. The "
            "document asks to explain summary and weights, to validate on a split by time, and to improve the model.",
            "Uma SimpleRNN de quatro células e uma camada densa preveem o próximo preço de uma ação a partir de dez "
            "preços diários. O documento pede que se expliquem o resumo e os pesos, que se valide com uma divisão "
            "temporal e que se melhore o modelo.",
        ),
        Text(
            "The document prints no figures. Prices follow nearly a random walk, and the forecast is no better than "
            "“tomorrow equals today”: its skill is not above 0.",
            "O documento não imprime valores. Os preços seguem quase um passeio aleatório, e a previsão não é melhor "
            "do que «amanhã é igual a hoje»: o seu ganho não é superior a 0.",
        ),
        Text("24 + 5 parameters.", "24 + 5 parâmetros."),
        names=("stock_rnn",),
    ),
    System(
        ALL,
        Text("Themes", "Temas"),
        Text("Regularisation and bagging", "Regularização e bagging"),
        Text(
            "The documents discuss dropout, L1, L2, batch normalisation and bagging. Two studies try them one at a "
            "time on small parts of Fashion-MNIST.",
            "Os documentos discutem dropout, L1, L2, normalização por lotes e bagging. Dois estudos experimentam-nos "
            "um a um em pequenas partes do Fashion-MNIST.",
        ),
        Text(
            "The documents print no figures for these themes, so there is nothing to compare.",
            "Os documentos não imprimem valores para estes temas, pelo que não há nada a comparar.",
        ),
        names=("regularisation", "bagging"),
    ),
)
